"""What a proof says of an active token's health: pure."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from partner_connector.db.models import Token
from partner_connector.features.tokens.health import reason, settle_view
from partner_connector.worker.validation import verdicts
from partner_connector.worker.validation.health import health_of
from partner_connector.worker.validation.verdicts import PARTNER_CHECKS, Check

AT = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
REFUSED = reason("system_user_not_admin", "It is not.", "Make it one.")


def a_token(
    health: str = "healthy", *reasons: dict[str, Any], values: dict[str, Any] | None = None
) -> Token:
    """Active, with this health."""
    return Token(health=health, health_reasons=list(reasons), **(values or {}))


def checks(**found: tuple[str, str]) -> list[Check]:
    """All passed, but for these: status and code."""
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
def test_what_was_found(found: dict[str, Any], health: str, codes: list[str]) -> None:
    """What is refused needs attention; a warning does not, nor what is not the token's own."""
    now_is, reasons = health_of(a_token(), checks(**found), [], AT)
    assert (now_is, [one["code"] for one in reasons]) == (health, codes)
    assert all(one["detail"] == "Seen." and one["remedy"] == "Do it." for one in reasons)


@pytest.mark.parametrize("before", ["healthy", "expiring", "insufficient", "invalid", "expired"])
@pytest.mark.parametrize(
    "found",
    [
        verdicts.given_up(PARTNER_CHECKS, "meta_refused", "Meta did not answer."),
        verdicts.given_up(PARTNER_CHECKS, "internal_error", "A fault of ours."),
        checks(live=("unknown", "not_shown")),
    ],
)
def test_no_verdict_changes_nothing(before: str, found: list[Check]) -> None:
    """Neither for the better nor for the worse."""
    assert health_of(a_token(before, REFUSED), found, [], AT) == (before, [REFUSED])


def test_unknown_is_not_fail_and_not_recovered() -> None:
    """A check that Meta does not show takes nothing away, and gives nothing back."""
    unclear = checks(system_user_role=("unknown", "not_shown"))
    assert health_of(a_token(), unclear, [], AT) == ("healthy", [])
    assert health_of(a_token("insufficient", REFUSED), unclear, [], AT) == (
        "insufficient",
        [REFUSED],
    )
    assert health_of(a_token("insufficient", REFUSED), checks(), [], AT) == ("healthy", [])
    # It is alive again, which is all that was in doubt.
    assert health_of(a_token("invalid", REFUSED), unclear, [], AT) == ("healthy", [])


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
def test_an_end_that_comes_near(left: timedelta, codes: list[str]) -> None:
    """Told again at each of 30, 14, 7 and 1 days, whichever of its two ends it is."""
    for end in ("expires_at", "data_access_expires_at"):
        health, reasons = health_of(a_token(values={end: AT + left}), checks(), [], AT)
        assert health == ("expiring" if codes else "healthy")
        assert [one["code"] for one in reasons] == codes


def test_a_narrower_view_is_a_reason_of_its_own() -> None:
    """It comes and goes with the checks for updates; what a proof refused stays."""
    health, reasons = health_of(a_token(), checks(), ["ads_read is gone"], AT)
    assert (health, [one["code"] for one in reasons]) == ("insufficient", ["view_narrowed"])

    token = a_token("insufficient", REFUSED)
    settle_view(token, ["ads_read is gone"], AT)
    assert [one["code"] for one in token.health_reasons] == [
        "system_user_not_admin",
        "view_narrowed",
    ]
    settle_view(token, [], AT)
    assert (token.health, token.health_reasons) == ("insufficient", [REFUSED])

    token = a_token()
    settle_view(token, ["ads_read is gone"], AT)
    assert token.health == "insufficient"
    settle_view(token, [], AT)
    assert (token.health, token.health_reasons) == ("healthy", [])

    settle_view(token, ["what its permissions cover was not shown"], AT)
    assert token.health == "healthy"

    dead = a_token("invalid", REFUSED)
    settle_view(dead, ["ads_read is gone"], AT)
    assert (dead.health, dead.health_reasons) == ("invalid", [REFUSED])
