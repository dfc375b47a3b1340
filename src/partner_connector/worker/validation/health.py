"""What the proof of an active token says of its health.

The same checks as when it was handed over, read with more care: what Meta did not show, or could
not answer in a bad minute, takes nothing away from what was proven before, and gives nothing back.
"""

from collections.abc import Collection, Sequence
from datetime import datetime

from partner_connector.db.models import Token
from partner_connector.features.tokens.health import Reason, ends_soon, reason, sees_less
from partner_connector.worker.validation.verdicts import Check, is_no_verdict

# Whether the partner still shares anything is told by its presence, and excess takes nothing away.
_OF_NO_CONCERN = frozenset({"partner_listed", "scopes_excess", "not_reused"})


def health_of(
    token: Token,
    checks: Sequence[Check],
    narrowed: Sequence[str],
    at: datetime,
    accepted: Collection[str] = (),
) -> tuple[str, list[Reason]]:
    """The health and its reasons; as it was where the checks are no verdict. Pure.

    `narrowed` is what a check for updates found the token to see less (`sync.capability`),
    `accepted` the checks that it may fail, since somebody said so (`tokens.narrowing`).
    """
    by_id = {check.id: check for check in checks}
    form, live = by_id["format"], by_id["live"]
    concern = [c for c in checks if c.id not in _OF_NO_CONCERN.union(accepted)]
    refused = [check for check in concern if check.status == "fail"]
    unclear = any(check.status == "unknown" for check in concern)
    as_it_was = token.health, list(token.health_reasons)
    if form.status == "fail":
        return "unreadable", _reasons([form])
    if live.status == "unknown" or is_no_verdict(checks):
        return as_it_was
    if live.status == "fail":
        return ("expired" if live.code == "token_expired" else "invalid"), _reasons([live])
    view = sees_less(narrowed)
    if refused or view:
        return "insufficient", [*_reasons(refused), *view]
    if unclear and token.health == "insufficient":
        return as_it_was
    soon = ends_soon(token, at)
    return ("expiring" if soon else "healthy"), soon


def _reasons(checks: Sequence[Check]) -> list[Reason]:
    return [reason(check.code, check.detail, check.remedy) for check in checks]
