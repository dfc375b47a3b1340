"""Putting on record that an active token is doing better or worse, whoever finds it out."""

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
async def telling_health_changes(
    session: AsyncSession, audit: Recorder, token_id: uuid.UUID | None
) -> AsyncIterator[None]:
    """Records at the block's end what became of the token's health, or of the reasons for it.

    At its end, since the record locks the audit head, which comes last.
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
    return [one["code"] for one in token.health_reasons]
