"""The daily check of every active token: when it is due, and that it starts once."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update

from partner_connector.db.engine import Database
from partner_connector.db.models import Token, TokenValidation
from partner_connector.worker.context import Workshop
from partner_connector.worker.schedule.daily_token_checks import TokenChecks
from partner_connector.worker.schedule.due_rows import LARGEST_SHIFT, next_regular_time
from tests.api import rows
from tests.api.engine_rows import enqueued

AT = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
DAY = timedelta(days=1)


async def a_token(database: Database, workspace_id: UUID, **values: Any) -> Token:
    """A connected partner's."""
    integration = rows.integration(workspace_id)
    partner = rows.partner(integration)
    token = rows.token(partner, **values)
    await rows.store(database, integration, partner, token)
    return token


async def planned(database: Database, token: Token) -> datetime:
    """When it is checked next."""
    async with database.reading() as session:
        at = (await session.get_one(Token, token.id)).next_check_at
    assert at is not None
    return at


async def proofs(database: Database) -> Sequence[TokenValidation]:
    """Those that were started, oldest first."""
    async with database.reading() as session:
        return (await session.scalars(select(TokenValidation).order_by(TokenValidation.id))).all()


async def test_once_a_day(shop: Workshop, database: Database, workspace_id: UUID) -> None:
    """It is planned first, and then proven at its own minute, once however often one looks."""
    token = await a_token(database, workspace_id)
    watch = TokenChecks(shop)
    assert await watch.look(AT) == []
    first = await planned(database, token)
    regular = next_regular_time(token.id, AT)
    assert regular <= first < regular + LARGEST_SHIFT

    assert await watch.look(first - timedelta(seconds=1)) == []
    assert await watch.look(first) == [token.id]
    assert await watch.look(first) == []

    [proof] = await proofs(database)
    assert (proof.purpose, proof.token_id, proof.status) == ("health", token.id, "queued")
    assert len(await enqueued(database)) == 1
    assert await planned(database, token) > first + DAY - 2 * LARGEST_SHIFT
    # Nor while the one before is still under way.
    assert await watch.look(first + 2 * DAY) == []


@pytest.mark.parametrize("state", ["candidate", "superseded", "revoked", "wiped"])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_only_active_tokens_are_checked(
    shop: Workshop, database: Database, workspace_id: UUID, state: str
) -> None:
    """Whatever plan it had when it was one."""
    await a_token(database, workspace_id, state=state, next_check_at=AT - DAY)
    assert await TokenChecks(shop).look(AT) == []
    assert await proofs(database) == []


async def test_a_token_is_checked_right_after_its_end(
    shop: Workshop, database: Database, workspace_id: UUID
) -> None:
    """Nobody waits up to a day to hear that it has expired."""
    end = AT + timedelta(minutes=20)
    token = await a_token(database, workspace_id, expires_at=end)
    regular = next_regular_time(token.id, AT)
    await TokenChecks(shop).look(AT)
    assert await planned(database, token) == end + timedelta(minutes=1) or regular <= end


async def test_two_workers_start_it_once(
    shop: Workshop, other_shop: Workshop, database: Database, workspace_id: UUID
) -> None:
    """However close together they look."""
    token = await a_token(database, workspace_id)
    async with database.writing() as session:
        await session.execute(update(Token).values(next_check_at=AT))
    found = await asyncio.gather(TokenChecks(shop).look(AT), TokenChecks(other_shop).look(AT))
    assert sorted(len(each) for each in found) == [0, 1]
    assert [proof.token_id for proof in await proofs(database)] == [token.id]
