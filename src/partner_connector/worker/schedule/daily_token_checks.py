"""The daily check of every active token: it is proven anew.

A token that ends before its minute of the day is checked right after its end.
"""

import uuid
from datetime import datetime, timedelta

import structlog
from sqlalchemy import ColumnElement, and_, exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.locks import lock_integration, lock_partner, lock_token
from partner_connector.db.models import Integration, Partner, Token, TokenValidation
from partner_connector.durable import tasks
from partner_connector.features.tokens.repository import TokenRepository
from partner_connector.worker.context import Workshop
from partner_connector.worker.schedule.due_rows import DueRows, is_due, next_time

# Meta's clock and ours differ by seconds.
_AFTER_ITS_END = timedelta(minutes=1)

log = structlog.get_logger()


class TokenChecks:
    """Looks when the worker starts, and then once a minute."""

    def __init__(self, shop: Workshop) -> None:
        self.shop = shop
        self._due_rows = DueRows(shop.database, Token.id, "token_checks")

    async def look(self, at: datetime) -> list[uuid.UUID]:
        """Start the checks that are due at this instant; answers the tokens that are checked."""
        due = select(Token.id).where(_is_due(at)).order_by(Token.next_check_at)
        return await self._due_rows.take_each(due, self._take, at)

    async def _take(self, token_id: uuid.UUID, at: datetime) -> bool:
        """Plan the next check, and start this one if it was its time."""
        async with self.shop.database.writing() as session:
            token = await _locked_if_due(session, token_id, at)
            if token is None:
                return False
            planned, token.next_check_at = token.next_check_at, _next_check(token, at)
            under_way = exists().where(
                TokenValidation.token_id == token.id, TokenValidation.status != "completed"
            )
            if planned is None or planned > at or await session.scalar(select(under_way)):
                return False
            tokens = TokenRepository(session, token.workspace_id)
            validation = await tokens.add_validation(token, "health")
            owner = token.partner_id or token.integration_id
            await self.shop.queue.enqueue(session, tasks.validate_token(validation.id, owner))
        log.info("token_check", token_id=str(token.id), validation_id=str(validation.id))
        return True


def _is_due(at: datetime) -> ColumnElement[bool]:
    return and_(Token.state == "active", is_due(Token.next_check_at, at))


async def _locked_if_due(session: AsyncSession, token_id: uuid.UUID, at: datetime) -> Token | None:
    """The token; None if another worker was faster, or somebody is at it: a minute is no time.

    Of its owner only the key is locked, which the proof refers to, so that what else a starting
    worker does with it is not put off.
    """
    token = await session.get(Token, token_id)
    if token is None:
        return None
    owner: Partner | Integration | None
    if token.partner_id is not None:
        owner = await lock_partner(
            session, token.partner_id, read=True, key_share=True, skip_locked=True
        )
    else:
        owner = await lock_integration(
            session, token.integration_id, read=True, key_share=True, skip_locked=True
        )
    if owner is None:
        return None
    return await lock_token(session, token_id, _is_due(at), key_share=True, skip_locked=True)


def _next_check(token: Token, at: datetime) -> datetime:
    ends = [end for end in (token.expires_at, token.data_access_expires_at) if end is not None]
    after_an_end = [end + _AFTER_ITS_END for end in ends if end + _AFTER_ITS_END > at]
    return min([next_time(token.id, at), *after_an_end])
