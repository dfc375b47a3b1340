"""Accepting that a token sees less than it did. `sync.capability` finds out that it does.

Meta leaves out of its lists what a token may not see, so a narrower view looks as if people had
left. Only somebody who knows that the narrowing was meant can say that they have.
"""

from collections.abc import Sequence

from partner_connector.clock import now
from partner_connector.db.locks import lock_capability
from partner_connector.db.models import Capability, Partner, Token
from partner_connector.errors import Conflict
from partner_connector.features.audit.service import Recorder
from partner_connector.features.tokens.health import settle_view
from partner_connector.features.tokens.health_changes import telling_health_changes
from partner_connector.features.tokens.repository import TokenRepository
from partner_connector.ids import encode

# Why a proof refuses a token that sees less: accepting the one accepts the other.
_REFUSED_FOR_IT = frozenset(
    {"scopes_missing", "scopes_narrowed", "system_user_not_admin", "no_asset_assigned"}
)


class NothingNarrowed(Conflict):
    """The token sees as much as it did."""

    code = "nothing_narrowed"
    title = "There is nothing to accept"
    description = "The token sees as much as at the last complete check."


class NarrowingChanged(Conflict):
    """What the caller read is not what there is to accept now."""

    code = "narrowing_changed"
    title = "The token's view has changed"
    description = (
        "What the token sees is no longer what you named, or a check is looking at it just now. "
        "Read the token again, after the check if one runs."
    )


async def accept(
    tokens: TokenRepository,
    audit: Recorder,
    partner: Partner,
    token: Token,
    expected: Sequence[str] | None,
) -> Capability:
    """Take what was observed for what is proven. `expected` is what the caller has read.

    Raises `NothingNarrowed` and `NarrowingChanged`.
    """
    capability = await lock_capability(tokens.session, partner.id)
    if capability is None or not capability.narrowed:
        raise NothingNarrowed
    narrowed = capability.narrowed
    if expected is not None and list(expected) != narrowed:
        raise NarrowingChanged
    # A check that is under way has noted a part of what it sees, and has not compared it yet.
    if "assets" not in (capability.observed or {}):
        raise NarrowingChanged
    async with telling_health_changes(tokens.session, audit, token.id):
        capability.proven = capability.observed
        capability.proven_at = now()
        capability.narrowed = []
        token.health_reasons = [
            one for one in token.health_reasons if one["code"] not in _REFUSED_FOR_IT
        ]
        settle_view(token, [], now())
    await audit.record(
        tokens.session,
        action="capabilities.accepted",
        subject=encode("ptn", partner.id),
        details={"narrowed": narrowed},
    )
    return capability


def accepted_checks(capability: Capability | None, token: Token) -> frozenset[str]:
    """The checks that a token may fail since somebody accepted it: what is proven now lacks the
    same. No token is connected that fails one of them, so nothing else can have brought that about.
    """
    proven = (capability.proven if capability is not None else None) or {}
    scopes, granular = proven.get("scopes"), proven.get("granular")
    accepted = {
        "scopes_required": scopes is not None and not {*(token.missing_scopes or ())} & {*scopes},
        "scopes_narrowed": granular is not None and granular == token.granular_scopes,
        "system_user_role": proven.get("role") == token.system_user_role is not None,
        "assets_full_control": "assets" in proven and not proven["assets"],
    }
    return frozenset(check for check, is_accepted in accepted.items() if is_accepted)
