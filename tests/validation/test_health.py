"""The health of an active token after a validation, computed without a database."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from partner_connector.db.models import Token
from partner_connector.features.tokens.health import reason, set_health_from_narrowing
from partner_connector.worker.validation import verdicts
from partner_connector.worker.validation.health import health_of
from partner_connector.worker.validation.verdicts import PARTNER_CHECKS, Check

AT = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
REFUSED = reason("system_user_not_admin", "It is not.", "Make it one.")


def make_token(
    health: str = "healthy", *reasons: dict[str, Any], values: dict[str, Any] | None = None
) -> Token:
    """Return an active token with this health."""
    return Token(health=health, health_reasons=list(reasons), **(values or {}))


def make_checks(**found: tuple[str, str]) -> list[Check]:
    """Return checks that passed, except for the given ones: status and code."""
    return [
        Check(name, *found.get(name, ("pass", "ok")), detail="Seen.", remedy="Do it.")
        for name in PARTNER_CHECKS
    ]


@pytest.mark.parametrize(
    ("found", "health", "codes"),
    [
        ({}, "healthy", []),
        ({"live": ("fail", "token_expired")}, "expired", ["token_expired"]),
        ({"live": ("fail", "token_revoked")}, "invalid", ["token_revoked"]),
        ({"scopes_required": ("fail", "scopes_missing")}, "insufficient", ["scopes_missing"]),
        (
            {"system_user_role": ("fail", "a"), "can_list_users": ("fail", "b")},
            "insufficient",
            ["a", "b"],
        ),
        ({"assets_full_control": ("warn", "assets_lack_full_control")}, "healthy", []),
        ({"scopes_excess": ("warn", "scopes_excess")}, "healthy", []),
        ({"partner_listed": ("fail", "partner_not_listed")}, "healthy", []),
        ({"format": ("fail", "key_lost")}, "unreadable", ["key_lost"]),
    ],
)
def test_health_follows_failed_checks(found: dict[str, Any], health: str, codes: list[str]) -> None:
    """Ignore warnings, and failures that are not the token's own."""
    new_health, reasons = health_of(make_token(), make_checks(**found), [], AT)
    assert (new_health, [one["code"] for one in reasons]) == (health, codes)
    assert all(one["detail"] == "Seen." and one["remedy"] == "Do it." for one in reasons)


@pytest.mark.parametrize("before", ["healthy", "expiring", "insufficient", "invalid", "expired"])
@pytest.mark.parametrize(
    "found",
    [
        verdicts.inconclusive(PARTNER_CHECKS, "meta_refused", "Meta did not answer."),
        verdicts.inconclusive(PARTNER_CHECKS, "internal_error", "A fault of ours."),
        make_checks(live=("unknown", "not_shown")),
    ],
)
def test_inconclusive_checks_keep_health(before: str, found: list[Check]) -> None:
    assert health_of(make_token(before, REFUSED), found, [], AT) == (before, [REFUSED])


def test_unknown_check_neither_fails_nor_recovers() -> None:
    unclear = make_checks(system_user_role=("unknown", "not_shown"))
    assert health_of(make_token(), unclear, [], AT) == ("healthy", [])
    assert health_of(make_token("insufficient", REFUSED), unclear, [], AT) == (
        "insufficient",
        [REFUSED],
    )
    assert health_of(make_token("insufficient", REFUSED), make_checks(), [], AT) == ("healthy", [])
    # The token is live again, and nothing else was in doubt.
    assert health_of(make_token("invalid", REFUSED), unclear, [], AT) == ("healthy", [])


@pytest.mark.parametrize(
    ("left", "codes"),
    [
        (timedelta(days=31), []),
        (timedelta(days=30), ["expires_within_30_days"]),
        (timedelta(days=14), ["expires_within_14_days"]),
        (timedelta(days=7), ["expires_within_7_days"]),
        (timedelta(days=1), ["expires_within_1_days"]),
    ],
)
def test_token_near_its_end_is_expiring(left: timedelta, codes: list[str]) -> None:
    """Add a reason at 30, 14, 7 and 1 days, for either of the token's two ends."""
    for end in ("expires_at", "data_access_expires_at"):
        health, reasons = health_of(make_token(values={end: AT + left}), make_checks(), [], AT)
        assert health == ("expiring" if codes else "healthy")
        assert [one["code"] for one in reasons] == codes


def test_narrowed_view_is_a_separate_reason() -> None:
    """Add and remove the reason with checks for updates, and keep the reasons of a validation."""
    health, reasons = health_of(make_token(), make_checks(), ["ads_read is gone"], AT)
    assert (health, [one["code"] for one in reasons]) == ("insufficient", ["view_narrowed"])

    token = make_token("insufficient", REFUSED)
    set_health_from_narrowing(token, ["ads_read is gone"], AT)
    assert [one["code"] for one in token.health_reasons] == [
        "system_user_not_admin",
        "view_narrowed",
    ]
    set_health_from_narrowing(token, [], AT)
    assert (token.health, token.health_reasons) == ("insufficient", [REFUSED])

    token = make_token()
    set_health_from_narrowing(token, ["ads_read is gone"], AT)
    assert token.health == "insufficient"
    set_health_from_narrowing(token, [], AT)
    assert (token.health, token.health_reasons) == ("healthy", [])

    set_health_from_narrowing(
        token, ["the list of assets that its permissions cover was not shown"], AT
    )
    assert token.health == "healthy"

    dead = make_token("invalid", REFUSED)
    set_health_from_narrowing(dead, ["ads_read is gone"], AT)
    assert (dead.health, dead.health_reasons) == ("invalid", [REFUSED])
