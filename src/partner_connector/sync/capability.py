"""Whether a token still sees as much as when it was proven.

A permission that was taken away, or narrowed to some assets, makes Meta's lists shorter without an
error (DOMAIN, failure 2). Then people may be missing from them who never left.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from partner_connector.graph import ErrorClass, TokenDead, TokenInspection


def what_shrank(
    scopes: Sequence[str] | None,
    granular_scopes: Mapping[str, Any] | None,
    inspection: TokenInspection,
) -> list[str]:
    """Each permission that covers less than at the proof, in words. Pure."""
    lost = sorted(set(scopes or ()) - inspection.scopes)
    shrunk = [f"{scope} is gone" for scope in lost]
    for scope, targets in inspection.granular_scopes.items():
        if targets is None or scope in lost:
            continue
        before = (granular_scopes or {}).get(scope)
        if before is None or not targets.issuperset(before):
            shrunk.append(f"{scope} covers fewer assets")
    return shrunk


def require_valid(inspection: TokenInspection) -> None:
    """Raise `TokenDead` for a token that Meta says is no longer valid."""
    if not inspection.is_valid:
        raise TokenDead(
            inspection.error_message or "Meta no longer accepts the token.",
            code=inspection.error_code,
            subcode=inspection.error_subcode,
            error_class=ErrorClass.CONFIGURATION,
            user_action="reconnect_token",
        )
