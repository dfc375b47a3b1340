"""Health of an active token, from its daily validation.

The checks are those of the first validation, but an unknown result changes nothing: a fact that
Meta did not show, or an outage, neither lowers nor restores the health.
"""

from collections.abc import Collection, Sequence
from datetime import datetime

from partner_connector.db.models import Token
from partner_connector.features.tokens.health import (
    Reason,
    expiry_reasons,
    narrowing_reasons,
    reason,
)
from partner_connector.worker.validation.verdicts import Check, is_inconclusive

# The partner's `presence` reports missing shares, and excess scopes remove no access.
_IGNORED = frozenset({"partner_listed", "scopes_excess", "not_reused"})


def health_of(
    token: Token,
    checks: Sequence[Check],
    narrowed: Sequence[str],
    at: datetime,
    accepted: Collection[str] = (),
) -> tuple[str, list[Reason]]:
    """Return the health and its reasons, unchanged if the checks are inconclusive. Pure.

    `narrowed` lists the access that the token has lost, as the last check for updates found
    (`worker.sync.apply.capability`). `accepted` lists the checks that may fail because the operator
    confirmed the reduced access (`features.tokens.narrowing`).
    """
    by_id = {check.id: check for check in checks}
    form, live = by_id["format"], by_id["live"]
    relevant = [check for check in checks if check.id not in _IGNORED.union(accepted)]
    refused = [check for check in relevant if check.status == "fail"]
    has_unknown = any(check.status == "unknown" for check in relevant)
    unchanged = token.health, list(token.health_reasons)
    if form.status == "fail":
        return "unreadable", _reasons([form])
    if live.status == "unknown" or is_inconclusive(checks):
        return unchanged
    if live.status == "fail":
        return ("expired" if live.code == "token_expired" else "invalid"), _reasons([live])
    lost_access = narrowing_reasons(narrowed)
    if refused or lost_access:
        return "insufficient", [*_reasons(refused), *lost_access]
    if has_unknown and token.health == "insufficient":
        return unchanged
    expiring = expiry_reasons(token, at)
    return ("expiring" if expiring else "healthy"), expiring


def _reasons(checks: Sequence[Check]) -> list[Reason]:
    return [reason(check.code, check.detail, check.remedy) for check in checks]
