"""Daily checks of active tokens: each is due once a day, and starts once."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update

from partner_connector.db.engine import Database
from partner_connector.db.models import Token, TokenValidation
from partner_connector.worker.context import WorkerContext
from partner_connector.worker.schedule.daily_token_checks import TokenChecks
from partner_connector.worker.schedule.due_rows import LARGEST_SHIFT, next_regular_time
from tests.api import rows
from tests.api.engine_rows import enqueued

AT = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
DAY = timedelta(days=1)


async def make_token(database: Database, workspace_id: UUID, **values: Any) -> Token:
    """Store a token of a connected partner."""
    integration = rows.integration(workspace_id)
    partner = rows.partner(integration)
    token = rows.token(partner, **values)
    await rows.store(database, integration, partner, token)
    return token


async def planned_time(database: Database, token: Token) -> datetime:
    """Return the planned time of the token's next check."""
    async with database.reading() as session:
        at = (await session.get_one(Token, token.id)).next_check_at
    assert at is not None
    return at


async def stored_validations(database: Database) -> Sequence[TokenValidation]:
    """Return the validations that were started, oldest first."""
    async with database.reading() as session:
        return (await session.scalars(select(TokenValidation).order_by(TokenValidation.id))).all()


async def test_active_token_is_checked_once_a_day(
    context: WorkerContext, database: Database, workspace_id: UUID
) -> None:
    """Plan the check first, then start it once at its own minute, at any number of polls."""
    token = await make_token(database, workspace_id)
    checks = TokenChecks(context)
    assert await checks.poll(AT) == []
    first = await planned_time(database, token)
    regular = next_regular_time(token.id, AT)
    assert regular <= first < regular + LARGEST_SHIFT

    assert await checks.poll(first - timedelta(seconds=1)) == []
    assert await checks.poll(first) == [token.id]
    assert await checks.poll(first) == []

    [validation] = await stored_validations(database)
    assert (validation.purpose, validation.token_id, validation.status) == (
        "health",
        token.id,
        "queued",
    )
    assert len(await enqueued(database)) == 1
    assert await planned_time(database, token) > first + DAY - 2 * LARGEST_SHIFT
    # No check starts while the previous one is unfinished.
    assert await checks.poll(first + 2 * DAY) == []


@pytest.mark.parametrize("state", ["candidate", "superseded", "revoked", "wiped"])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_only_active_tokens_are_checked(
    context: WorkerContext, database: Database, workspace_id: UUID, state: str
) -> None:
    """Ignore a plan from the time when the token was active."""
    await make_token(database, workspace_id, state=state, next_check_at=AT - DAY)
    assert await TokenChecks(context).poll(AT) == []
    assert await stored_validations(database) == []


async def test_token_is_checked_right_after_its_expiry(
    context: WorkerContext, database: Database, workspace_id: UUID
) -> None:
    """Report the expiry without waiting for the daily check."""
    end = AT + timedelta(minutes=20)
    token = await make_token(database, workspace_id, expires_at=end)
    regular = next_regular_time(token.id, AT)
    await TokenChecks(context).poll(AT)
    assert await planned_time(database, token) == end + timedelta(minutes=1) or regular <= end


async def test_two_workers_start_token_check_once(
    context: WorkerContext, other_context: WorkerContext, database: Database, workspace_id: UUID
) -> None:
    token = await make_token(database, workspace_id)
    async with database.writing() as session:
        await session.execute(update(Token).values(next_check_at=AT))
    found = await asyncio.gather(TokenChecks(context).poll(AT), TokenChecks(other_context).poll(AT))
    assert sorted(len(each) for each in found) == [0, 1]
    assert [validation.token_id for validation in await stored_validations(database)] == [token.id]
