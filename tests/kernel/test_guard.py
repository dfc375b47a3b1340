"""Guards of writing transactions."""

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.engine import Database
from partner_connector.db.models import Workspace


class Refused(BaseException):
    """Refusal of a guard: a `BaseException`, as DBOS raises."""


async def test_transaction_is_rolled_back_when_guard_refuses(database: Database) -> None:
    """Check that the guard runs last and sees the changes of the transaction."""
    seen: list[int] = []

    async def refuse(session: AsyncSession) -> None:
        seen.append(await count(session))
        raise Refused

    with pytest.raises(Refused):
        async with database.guarded_by(refuse).writing() as session:
            session.add(Workspace(name="Test"))
    async with database.reading() as session:
        assert (seen, await count(session)) == ([1], 0)


async def test_transaction_is_committed_when_guard_passes(database: Database) -> None:
    """Check that the database without the guard is not affected."""

    async def accept(_session: AsyncSession) -> None:
        pass

    async with database.guarded_by(accept).writing() as session:
        session.add(Workspace(name="Test"))
    async with database.writing() as session:
        session.add(Workspace(name="Test"))
    async with database.reading() as session:
        assert await count(session) == 2


async def count(session: AsyncSession) -> int:
    """Return the number of workspaces that this transaction sees."""
    return await session.scalar(select(func.count()).select_from(Workspace)) or 0
