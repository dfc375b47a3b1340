"""Effects of re-validating an active token: its facts and its health, and nothing else.

A re-validation never wipes, replaces or connects a token. Data that was read with the token stays
available.
"""

from collections.abc import Sequence

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.clock import now
from partner_connector.db.models import Capability, Integration, Token, TokenValidation
from partner_connector.features.audit.service import Recorder
from partner_connector.features.integrations.health import record_own_token_health
from partner_connector.features.tokens.health import set_health
from partner_connector.features.tokens.health_changes import record_health_changes
from partner_connector.features.tokens.narrowing import accepted_checks
from partner_connector.worker.validation.evidence import Evidence
from partner_connector.worker.validation.health import health_of
from partner_connector.worker.validation.outcome import complete, store_facts
from partner_connector.worker.validation.verdicts import Check, is_inconclusive


async def store_recheck(
    session: AsyncSession,
    audit: Recorder,
    validation: TokenValidation,
    token: Token,
    checks: Sequence[Check],
    evidence: Evidence | None,
) -> None:
    """Store the result of a re-validation. The caller has locked the token and its owner."""
    if token.state != "active" or is_inconclusive(checks):
        # The token was replaced or removed meanwhile, or the checks are inconclusive: the earlier
        # result stays.
        await session.delete(validation)
        return
    complete(validation, checks)
    await _delete_earlier_rechecks(session, validation)
    at = now()
    token.last_checked_at = at
    if evidence is not None and evidence.me_id is not None:
        store_facts(token, evidence)
    capability = await session.get(Capability, token.partner_id) if token.partner_id else None
    async with record_health_changes(session, audit, token.id):
        narrowed = capability.narrowed if capability is not None else []
        accepted = accepted_checks(capability, token)
        health, reasons = health_of(token, checks, narrowed, at, accepted)
        set_health(token, health, reasons)
        if token.partner_id is None:
            integration = await session.get_one(Integration, token.integration_id)
            record_own_token_health(integration, health, reasons)


async def _delete_earlier_rechecks(session: AsyncSession, validation: TokenValidation) -> None:
    """Delete earlier re-validations of the token, so that not one row a day remains."""
    await session.execute(
        delete(TokenValidation)
        .where(TokenValidation.token_id == validation.token_id)
        .where(TokenValidation.purpose == validation.purpose)
        .where(TokenValidation.id < validation.id, TokenValidation.status == "completed")
    )
