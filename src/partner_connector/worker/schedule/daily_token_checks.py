"""Daily re-validation of every active token.

A token that expires before its next regular check is checked right after its expiry.
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
from partner_connector.worker.context import WorkerContext
from partner_connector.worker.schedule.due_rows import DueRows, is_due, next_time

# Meta's clock and ours may differ by seconds.
_CLOCK_MARGIN = timedelta(minutes=1)

log = structlog.get_logger()


class TokenChecks:
    """Starter of due token checks: at the start of the worker, then once a minute."""

    def __init__(self, context: WorkerContext) -> None:
        self.context = context
        self._due_rows = DueRows(context.database, Token.id, "token_checks")

    async def poll(self, at: datetime) -> list[uuid.UUID]:
        """Start the checks that are due at `at`. Return the ids of their tokens."""
        due = select(Token.id).where(_is_due(at)).order_by(Token.next_check_at)
        return await self._due_rows.take_each(due, self._take, at)

    async def _take(self, token_id: uuid.UUID, at: datetime) -> bool:
        """Plan the next check, and start this one if it is due. Return whether it was started."""
        async with self.context.database.writing() as session:
            token = await _lock_if_due(session, token_id, at)
            if token is None:
                return False
            planned, token.next_check_at = token.next_check_at, _next_check(token, at)
            is_running = exists().where(
                TokenValidation.token_id == token.id, TokenValidation.status != "completed"
            )
            if planned is None or planned > at or await session.scalar(select(is_running)):
                return False
            tokens = TokenRepository(session, token.workspace_id)
            validation = await tokens.add_validation(token, "health")
            owner = token.partner_id or token.integration_id
            await self.context.queue.enqueue(session, tasks.validate_token(validation.id, owner))
        log.info("token_check", token_id=str(token.id), validation_id=str(validation.id))
        return True


def _is_due(at: datetime) -> ColumnElement[bool]:
    return and_(Token.state == "active", is_due(Token.next_check_at, at))


async def _lock_if_due(session: AsyncSession, token_id: uuid.UUID, at: datetime) -> Token | None:
    """Lock and return the token; None if another worker was faster or a row is locked.

    The next poll, in a minute, finds such a token again. The lock of the owner's row permits
    inserting a validation that refers to the row, and does not block other updates of the row.
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
    after_expiry = [end + _CLOCK_MARGIN for end in ends if end + _CLOCK_MARGIN > at]
    return min([next_time(token.id, at), *after_expiry])
