"""Health of an active token and its reasons. Only this module sets them.

A token that is `healthy`, `expiring` or `unknown` still reads the partner's data; any other health
needs attention. Data that was read before stays available in any case.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from partner_connector.db.models import Token
from partner_connector.db.models.token import WORKING
from partner_connector.db.sql import storable_text

# Days before a token's expiry at which a new reason, and so a new event, is created.
_WARNING_DAYS = (1, 7, 14, 30)

REPLACEMENT_REMEDY = (
    "Have the partner's admin generate a new token (Settings > Users > System users > Generate "
    "new token, expiration Never) and replace this one."
)
# Ending of a narrowing's text when the access is unknown, not less (`sync.apply.capability`).
NOT_SHOWN = "was not shown"
_SEES_LESS = "view_narrowed"
_GIVE_BACK_OR_ACCEPT = (
    "Have the partner's admin give the system user its former access again, or confirm that the "
    "token sees less on purpose (POST /v1/partners/{id}/token/accept-capabilities)."
)
_MAX_LENGTH = 2000
Reason = dict[str, Any]


def reason(code: str, detail: str, remedy: str | None) -> Reason:
    """Return a reason why a token needs attention now or soon.

    `detail` may hold names from Meta: both texts are cleaned and cut to 2000 characters.
    """
    cleaned = None if remedy is None else storable_text(remedy, _MAX_LENGTH)
    return {"code": code, "detail": storable_text(detail, _MAX_LENGTH), "remedy": cleaned}


def set_health(token: Token, health: str, reasons: Sequence[Reason] = ()) -> None:
    """Set the health and its reasons. `tokens.health_changes` records the change."""
    token.health, token.health_reasons = health, list(reasons)


def expiry_reasons(token: Token, at: datetime) -> list[Reason]:
    """Return a reason for each of the token's two expiry times that is near.

    The code names how near: within 1, 7, 14 or 30 days.
    """
    ends = ((token.expires_at, "The token"), (token.data_access_expires_at, "Its access to data"))
    return [
        reason(
            f"expires_within_{days}_days",
            f"{what} ends on {end:%Y-%m-%d %H:%M} UTC.",
            REPLACEMENT_REMEDY,
        )
        for end, what in ends
        if end is not None and (days := _warning_days(end - at)) is not None
    ]


def narrowing_reasons(narrowed: Sequence[str]) -> list[Reason]:
    """Return a reason for each way in which the token sees less than at the last complete check.

    Access that Meta did not show is skipped: it keeps users from being removed, but is no fault of
    the token.
    """
    return [
        reason(_SEES_LESS, detail, _GIVE_BACK_OR_ACCEPT)
        for detail in narrowed
        if not detail.endswith(NOT_SHOWN)
    ]


def set_health_from_narrowing(token: Token, narrowed: Sequence[str], at: datetime) -> None:
    """Set the health from what a check for updates found about the token's access.

    Only reasons of such checks are removed; reasons of a refused validation stay.
    """
    others = [entry for entry in token.health_reasons if entry["code"] != _SEES_LESS]
    lost_access = narrowing_reasons(narrowed)
    if lost_access:
        if token.health in {*WORKING, "insufficient"}:
            refused = others if token.health == "insufficient" else []
            set_health(token, "insufficient", [*refused, *lost_access])
    elif token.health == "insufficient" and not others:
        soon = expiry_reasons(token, at)
        set_health(token, "expiring" if soon else "healthy", soon)
    else:
        set_health(token, token.health, others)


def _warning_days(left: timedelta) -> int | None:
    return next((days for days in _WARNING_DAYS if left <= timedelta(days=days)), None)
