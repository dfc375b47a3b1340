"""What follows from proving an active token anew: its facts and its health, and nothing else.

It is never wiped, replaced or connected by that, and what was read with it stays served.
"""

from collections.abc import Sequence

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.clock import now
from partner_connector.db.models import Capability, Integration, Token, TokenValidation
from partner_connector.features.audit.service import Recorder
from partner_connector.features.integrations.health import note_own_token
from partner_connector.features.tokens.health import set_health
from partner_connector.features.tokens.health_changes import telling_health_changes
from partner_connector.features.tokens.narrowing import accepted_checks
from partner_connector.worker.validation.evidence import Evidence
from partner_connector.worker.validation.health import health_of
from partner_connector.worker.validation.outcome import complete, store_facts
from partner_connector.worker.validation.verdicts import Check, is_no_verdict


async def conclude_recheck(
    session: AsyncSession,
    audit: Recorder,
    validation: TokenValidation,
    token: Token,
    checks: Sequence[Check],
    evidence: Evidence | None,
) -> None:
    """Store what was found. The token's owner and the token are locked."""
    if token.state != "active" or is_no_verdict(checks):
        # Replaced or taken away meanwhile, or nothing was found out: what is known stays the last
        # word.
        await session.delete(validation)
        return
    complete(validation, checks)
    await _forget_earlier_ones(session, validation)
    at = now()
    token.last_checked_at = at
    if evidence is not None and evidence.me_id is not None:
        store_facts(token, evidence)
    capability = await session.get(Capability, token.partner_id) if token.partner_id else None
    async with telling_health_changes(session, audit, token.id):
        narrowed = capability.narrowed if capability is not None else []
        accepted = accepted_checks(capability, token)
        health, reasons = health_of(token, checks, narrowed, at, accepted)
        set_health(token, health, reasons)
        if token.partner_id is None:
            integration = await session.get_one(Integration, token.integration_id)
            note_own_token(integration, health, reasons)


async def _forget_earlier_ones(session: AsyncSession, validation: TokenValidation) -> None:
    """One of a token is enough: else a row would stay for each day."""
    await session.execute(
        delete(TokenValidation)
        .where(TokenValidation.token_id == validation.token_id)
        .where(TokenValidation.purpose == validation.purpose)
        .where(TokenValidation.id < validation.id, TokenValidation.status == "completed")
    )
