"""Small reads: their results on both databases, and the thread they run in on SQLite."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Select, bindparam, event, exists, func, literal, null, select
from sqlalchemy.ext.asyncio import create_async_engine

from partner_connector.db.engine import Database, async_url
from partner_connector.db.models import ApiKey, Integration, Workspace
from partner_connector.db.reads import SqliteReads
from partner_connector.ids import new_id
from partner_connector.settings import Settings
from tests.api import rows

_KEY = ApiKey.__table__.c
_EVERY_TYPE = (
    select(*_KEY, Integration.__table__.c.schedule, null(), exists().where(_KEY.name == "no"))
    .join(Integration.__table__, _KEY.workspace_id == Integration.__table__.c.workspace_id)
    .where(_KEY.id == bindparam("id"), _KEY.created_at < bindparam("before"))
    .where(_KEY.workspace_id.in_(bindparam("workspaces", expanding=True)))
    .where(_KEY.scopes == bindparam("scopes"))
)
_SMALL = select(Workspace.__table__.c.id).where(Workspace.__table__.c.id == bindparam("id"))


def _count_to(number: int) -> Select[int]:
    numbers = select(literal(1).label("n")).cte(recursive=True)
    numbers = numbers.union_all(select(numbers.c.n + 1).where(numbers.c.n < number))
    return select(func.count()).select_from(numbers)


# Some hundred milliseconds of SQLite's virtual machine and some 7,000 of its steps.
_LONG, _SHORT = _count_to(1_000_000), _count_to(500)

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
async def reads(settings: Settings) -> AsyncIterator[SqliteReads]:
    """Reads of a SQLite database with its own engine."""
    engine = create_async_engine(async_url(settings.sqlalchemy_url()))
    opened = SqliteReads(engine)
    yield opened
    await opened.close()


@contextmanager
def _handed_over(reads: SqliteReads) -> Iterator[list[str]]:
    """Record the statements that are executed in the driver's thread."""
    statements: list[str] = []

    def record(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(reads.engine.sync_engine, "before_cursor_execute", record)
    yield statements
    event.remove(reads.engine.sync_engine, "before_cursor_execute", record)


async def _turns_during(work: Any) -> tuple[int, Any]:
    """Return how often the event loop ran another task meanwhile, and the result of the work."""
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0.001)

    turning = asyncio.create_task(turn())
    answer = await work
    turning.cancel()
    return turns, answer


@on_sqlite
async def test_long_read_leaves_event_loop_free(database: Database) -> None:
    """Check that the event loop runs on during a long statement, and the result is complete."""
    turns, row = await _turns_during(database.fetch_row(_LONG))
    assert tuple(row) == (1_000_000,)
    assert turns > 5


@on_sqlite
async def test_long_statement_of_session_leaves_event_loop_free(database: Database) -> None:
    async with database.autocommit_reads() as session:
        turns, number = await _turns_during(session.scalar(_LONG))
    assert number == 1_000_000
    assert turns > 5


@on_sqlite
async def test_small_reads_run_on_event_loop(reads: SqliteReads) -> None:
    """Check that none of a hundred is handed over: the limit of steps is for each statement."""
    with _handed_over(reads) as handed_over:
        for _ in range(100):
            assert await _rows(reads, _SHORT) == [[500]]
            assert await _rows(reads, _SMALL, id=new_id()) == []
            async with reads.session() as session:
                assert (await session.scalars(select(Workspace))).all() == []
        assert handed_over == []
        await reads.rows(_LONG, {})
        assert len(handed_over) == 1


@on_sqlite
async def test_event_loop_does_not_wait_for_lock(reads: SqliteReads) -> None:
    """Check that a read of a locked database waits in the driver's thread, and gets its answer."""
    path = reads.engine.url.database or ""
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("PRAGMA locking_mode = EXCLUSIVE")
    holder.execute("BEGIN IMMEDIATE")
    holder.execute("DELETE FROM workspaces")

    async def read() -> Any:
        reading = asyncio.create_task(_rows(reads, _SMALL, id=new_id()))
        await asyncio.sleep(0.2)
        assert not reading.done()
        holder.execute("COMMIT")
        holder.close()
        return await reading

    turns, answer = await _turns_during(read())
    assert answer == []
    assert turns > 5


async def _rows(reads: SqliteReads, query: Select[Any], **values: Any) -> list[list[Any]]:
    return [list(row) for row in await reads.rows(query, values)]


async def test_small_read_returns_same_values_as_session(database: Database) -> None:
    """Check that values of every type are bound and read as in a session."""
    workspace = Workspace(name="w", id=new_id())
    key = rows.api_key(workspace.id, scopes=["partners:read", "ä"])
    await rows.store(database, workspace, key, rows.integration(workspace.id))
    values = {
        "id": key.id,
        "before": rows.SEEN_AT.replace(year=2100),
        "workspaces": [new_id(), workspace.id],
        "scopes": key.scopes,
    }
    async with database.autocommit_reads() as session:
        expected = (await session.execute(_EVERY_TYPE, values)).one()
    found = await database.fetch_row(_EVERY_TYPE, **values)
    assert list(found) == list(expected)
    assert [type(each) for each in found] == [type(each) for each in expected]
    assert {None, False} <= {each for each in found if not isinstance(each, (list, dict))}


@on_sqlite
async def test_every_type_is_read_on_event_loop(reads: SqliteReads) -> None:
    """Check that each type has a conversion: without it SQLite refuses the value, and the read is
    handed over.
    """
    values = {
        "id": new_id(),
        "before": rows.SEEN_AT,
        "workspaces": [new_id(), new_id()],
        "scopes": ["partners:read"],
    }
    with _handed_over(reads) as handed_over:
        for _ in range(2):
            assert await reads.rows(_EVERY_TYPE, values) == []
            values["workspaces"] = [new_id()]
    assert handed_over == []
