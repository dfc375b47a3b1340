"""The daily check of every active token: it is proven anew, at a minute of the day of its own.

When it is next checked is in its row (`next_check_at`), which moves on in the transaction that
starts the check: with any number of workers it is started once. A token that ends before that is
checked right after its end.
"""

import asyncio
import random
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from sqlalchemy import ColumnElement, Select, and_, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector import work
from partner_connector.clock import now
from partner_connector.models import Integration, Partner, Token, TokenValidation
from partner_connector.scheduler import AT_A_TIME, LARGEST_SHIFT, LOOK_SECONDS, next_regular_time
from partner_connector.tokens.repository import TokenRepository
from partner_connector.workshop import Workshop

# Further ahead than any plan: made by a clock that was wrong.
_TOO_FAR_AHEAD = timedelta(hours=25)
# Meta's clock and ours differ by seconds.
_AFTER_ITS_END = timedelta(minutes=1)

log = structlog.get_logger()


class TokenChecks:
    """Looks when the worker starts, and then once a minute."""

    def __init__(self, shop: Workshop) -> None:
        self.shop = shop

    async def watch(self) -> None:
        """Look until cancelled."""
        while True:
            try:
                await self.look(now())
            except Exception as error:
                log.warning("token_checks_not_started", error=type(error).__name__)
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self, at: datetime) -> list[uuid.UUID]:
        """Start the checks that are due at this instant; answers the tokens that are checked."""
        return [token_id for token_id in await self._due(at) if await self._take(token_id, at)]

    async def _due(self, at: datetime) -> Sequence[uuid.UUID]:
        query = select(Token.id).where(_is_due(at)).order_by(Token.next_check_at)
        async with self.shop.database.reading() as session:
            return (await session.scalars(query.limit(AT_A_TIME))).all()

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
            await self.shop.queue.enqueue(session, work.validate_token(validation.id, owner))
        log.info("token_check", token_id=str(token.id), validation_id=str(validation.id))
        return True


def _is_due(at: datetime) -> ColumnElement[bool]:
    return and_(
        Token.state == "active",
        or_(
            Token.next_check_at <= at,
            Token.next_check_at.is_(None),
            Token.next_check_at > at + _TOO_FAR_AHEAD,
        ),
    )


async def _locked_if_due(session: AsyncSession, token_id: uuid.UUID, at: datetime) -> Token | None:
    """The token; None if another worker was faster, or somebody is at it: a minute is no time.

    Its owner is locked first, as by everybody who changes both; only its key, which the proof
    refers to, so that what else a starting worker does with it is not put off.
    """
    due = select(Token).where(Token.id == token_id, _is_due(at))
    token = await session.scalar(due)
    if token is None:
        return None
    owner: Select[uuid.UUID] = (
        select(Integration.id).where(Integration.id == token.integration_id)
        if token.partner_id is None
        else select(Partner.id).where(Partner.id == token.partner_id)
    )
    is_free = await session.scalar(
        owner.with_for_update(read=True, key_share=True, skip_locked=True)
    )
    if is_free is None:
        return None
    locked = due.with_for_update(key_share=True, skip_locked=True)
    return await session.scalar(locked.execution_options(populate_existing=True))


def _next_check(token: Token, at: datetime) -> datetime:
    shift = random.random() * LARGEST_SHIFT  # noqa: S311 - spreads load, guards nothing
    regular = next_regular_time(token.id, at) + shift
    ends = [end for end in (token.expires_at, token.data_access_expires_at) if end is not None]
    after_an_end = [end + _AFTER_ITS_END for end in ends if end + _AFTER_ITS_END > at]
    return min([regular, *after_an_end])
