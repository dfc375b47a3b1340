"""How an active token is doing, and why: the one place that writes it down.

`healthy`, `expiring` and `unknown` still read the partner's data; everything else needs attention.
What was read before stays served whatever the health is.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from partner_connector.db.models import Token
from partner_connector.db.models.token import WORKING
from partner_connector.db.sql import clean

# Days before its end at which a token's owner is told (again).
_TOLD_DAYS_BEFORE = (1, 7, 14, 30)

REPLACE_IT = (
    "Have the partner's admin generate a new token (Settings > Users > System users > Generate "
    "new token, expiration Never) and replace this one."
)
# How the words end for what is unknown, which is not the same as less (`sync.capability`).
NOT_SHOWN = "was not shown"
_SEES_LESS = "view_narrowed"
_GIVE_BACK_OR_ACCEPT = (
    "Have the partner's admin give the system user back what it had, or accept that the token sees "
    "less (POST /v1/partners/{id}/token/accept-capabilities)."
)
_LONGEST = 2000
Reason = dict[str, Any]


def reason(code: str, detail: str, remedy: str | None) -> Reason:
    """Why a token needs attention, or soon will. Details may tell names from Meta."""
    cleaned = None if remedy is None else clean(remedy, _LONGEST)
    return {"code": code, "detail": clean(detail, _LONGEST), "remedy": cleaned}


def set_health(token: Token, health: str, reasons: Sequence[Reason] = ()) -> None:
    """Write it down. `tokens.health_changes` puts on record what is news."""
    token.health, token.health_reasons = health, list(reasons)


def ends_soon(token: Token, at: datetime) -> list[Reason]:
    """A reason for each of the token's two ends that is near; its code names how near."""
    ends = ((token.expires_at, "The token"), (token.data_access_expires_at, "Its access to data"))
    return [
        reason(
            f"expires_within_{days}_days", f"{what} ends on {end:%Y-%m-%d %H:%M} UTC.", REPLACE_IT
        )
        for end, what in ends
        if end is not None and (days := _days_told(end - at)) is not None
    ]


def sees_less(narrowed: Sequence[str]) -> list[Reason]:
    """A reason for each way in which the token sees less than at the last complete check. What Meta
    only did not show keeps people from being removed, and says nothing against the token.
    """
    return [
        reason(_SEES_LESS, detail, _GIVE_BACK_OR_ACCEPT)
        for detail in narrowed
        if not detail.endswith(NOT_SHOWN)
    ]


def settle_view(token: Token, narrowed: Sequence[str], at: datetime) -> None:
    """Bring what a check for updates found of the token's view to its health.

    It takes back no more than what such checks found: what a proof refused stays.
    """
    others = [one for one in token.health_reasons if one["code"] != _SEES_LESS]
    view = sees_less(narrowed)
    if view:
        if token.health in {*WORKING, "insufficient"}:
            refused = others if token.health == "insufficient" else []
            set_health(token, "insufficient", [*refused, *view])
    elif token.health == "insufficient" and not others:
        soon = ends_soon(token, at)
        set_health(token, "expiring" if soon else "healthy", soon)
    else:
        set_health(token, token.health, others)


def _days_told(left: timedelta) -> int | None:
    return next((days for days in _TOLD_DAYS_BEFORE if left <= timedelta(days=days)), None)
