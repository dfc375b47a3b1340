"""Log entry, webhook event and audit event for a change of an active token's health."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.models import Token
from partner_connector.features.audit.service import Recorder
from partner_connector.features.tokens.service import owner_name
from partner_connector.features.webhooks import events

log = structlog.get_logger()


@asynccontextmanager
async def record_health_changes(
    session: AsyncSession, audit: Recorder, token_id: uuid.UUID | None
) -> AsyncIterator[None]:
    """Record a change of the token's health, or of its reasons, that happens inside the block.

    Recorded at the end of the block: the audit event locks the audit chain head, which must be the
    last lock of a transaction.
    """
    token = await session.get(Token, token_id) if token_id is not None else None
    if token is None:
        yield
        return
    before = token.health, _codes(token)
    yield
    if token.state != "active" or before == (token.health, _codes(token)):
        return
    log.info("token_health_changed", health=token.health, was=before[0], reasons=_codes(token))
    await events.token_health_changed(session, token, was=before[0])
    await audit.record(
        session,
        action="token.health_changed",
        subject=owner_name(token),
        details={
            "was": before[0],
            "health": token.health,
            "reasons": _codes(token),
            "version": token.version,
        },
    )


def _codes(token: Token) -> list[str]:
    return [reason["code"] for reason in token.health_reasons]
