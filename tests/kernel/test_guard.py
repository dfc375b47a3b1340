"""A database whose writing transactions have to pass a guard."""

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.engine import Database
from partner_connector.db.models import Workspace


class Refused(BaseException):
    """As strong as what the engine raises."""


async def test_what_the_guard_refuses_is_rolled_back(database: Database) -> None:
    """It is asked last, and sees what was written."""
    seen: list[int] = []

    async def refuse(session: AsyncSession) -> None:
        seen.append(await count(session))
        raise Refused

    with pytest.raises(Refused):
        async with database.guarded_by(refuse).writing() as session:
            session.add(Workspace(name="Test"))
    async with database.reading() as session:
        assert (seen, await count(session)) == ([1], 0)


async def test_what_the_guard_lets_pass_is_committed(database: Database) -> None:
    """And the database that was not guarded goes on as before."""

    async def let_pass(_session: AsyncSession) -> None:
        pass

    async with database.guarded_by(let_pass).writing() as session:
        session.add(Workspace(name="Test"))
    async with database.writing() as session:
        session.add(Workspace(name="Test"))
    async with database.reading() as session:
        assert await count(session) == 2


async def count(session: AsyncSession) -> int:
    """How many workspaces there are, for this transaction."""
    return await session.scalar(select(func.count()).select_from(Workspace)) or 0
