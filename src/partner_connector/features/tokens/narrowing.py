"""Acceptance of a narrowed capability, which `worker.sync.apply.capability` detects.

Meta leaves out of its lists what a token may not see (`docs/reference/graph-facts.md#short-lists`),
so with less access it looks as if users had left. Only a caller who knows that the access was
reduced on purpose can confirm that they have.
"""

from collections.abc import Sequence

from partner_connector.clock import now
from partner_connector.db.locks import lock_capability
from partner_connector.db.models import Capability, Partner, Token
from partner_connector.errors import Conflict
from partner_connector.features.audit.service import Recorder
from partner_connector.features.tokens.health import set_health_from_narrowing
from partner_connector.features.tokens.health_changes import record_health_changes
from partner_connector.features.tokens.repository import TokenRepository
from partner_connector.ids import encode

# Reasons of a refused validation with the same cause: accepting the narrowing removes them.
_CODES_OF_NARROWING = frozenset(
    {"scopes_missing", "scopes_narrowed", "system_user_not_admin", "no_asset_assigned"}
)


class NothingNarrowed(Conflict):
    """The token has lost no access since the last complete check for updates."""

    code = "nothing_narrowed"
    title = "There is nothing to accept"
    description = (
        "Nothing needs to be accepted: users are removed as usual. If the access was reduced since "
        "the last check, check for updates first."
    )


class NarrowingChanged(Conflict):
    """`narrowed` in the body differs from the token's, or a check for updates is reading it now."""

    code = "narrowing_changed"
    title = "The token's access has changed since you read it"
    description = (
        "Wait for a running check for updates to end. Then read the token again and accept the "
        "`narrowed` that it shows."
    )


async def accept(
    tokens: TokenRepository,
    audit: Recorder,
    partner: Partner,
    token: Token,
    expected: Sequence[str] | None,
) -> Capability:
    """Make the observed capability the one that later checks compare with.

    `expected` is the `narrowed` that the caller has read; None accepts any. Raises
    `NothingNarrowed` and `NarrowingChanged`.
    """
    capability = await lock_capability(tokens.session, partner.id)
    if capability is None or not capability.narrowed:
        raise NothingNarrowed
    narrowed = capability.narrowed
    if expected is not None and list(expected) != narrowed:
        raise NarrowingChanged
    # A running check for updates has stored a part of the capability and has not compared it yet.
    if "assets" not in (capability.observed or {}):
        raise NarrowingChanged
    async with record_health_changes(tokens.session, audit, token.id):
        capability.confirmed = capability.observed
        capability.confirmed_at = now()
        capability.narrowed = []
        token.health_reasons = [
            reason for reason in token.health_reasons if reason["code"] not in _CODES_OF_NARROWING
        ]
        set_health_from_narrowing(token, [], now())
    await audit.record(
        tokens.session,
        action="capabilities.accepted",
        subject=encode("ptn", partner.id),
        details={"narrowed": narrowed},
    )
    return capability


def accepted_checks(capability: Capability | None, token: Token) -> frozenset[str]:
    """Return the validation checks that the token may fail because a caller accepted it.

    A check is accepted if the capability of the last complete check lacks the same access. No token
    that fails one of these checks is ever activated, so only an acceptance can be the cause.
    """
    baseline = (capability.confirmed if capability is not None else None) or {}
    scopes, granular = baseline.get("scopes"), baseline.get("granular")
    accepted = {
        "scopes_required": scopes is not None and not {*(token.missing_scopes or ())} & {*scopes},
        "scopes_narrowed": granular is not None and granular == token.granular_scopes,
        "system_user_role": baseline.get("role") == token.system_user_role is not None,
        "assets_full_control": "assets" in baseline and not baseline["assets"],
    }
    return frozenset(check for check, is_accepted in accepted.items() if is_accepted)
