"""Transactions, on both databases."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError, InternalError, StatementError
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.engine import Database
from partner_connector.db.models import Base, Executor, Integration, Workspace
from partner_connector.db.sql import write_rows
from partner_connector.ids import new_id

INCREMENTS = 200


async def _store(database: Database, row: Base, *, then: Exception | None = None) -> None:
    async with database.writing() as session:
        session.add(row)
        await session.flush()
        if then is not None:
            raise then


async def test_a_naive_time_is_refused(database: Database) -> None:
    """A time without a zone never reaches the database."""
    naive = Executor(id="a", beat_at=datetime(2026, 1, 1))  # noqa: DTZ001 - that is the point
    with pytest.raises(StatementError, match="naive"):
        await _store(database, naive)


async def test_a_time_comes_back_in_utc(database: Database) -> None:
    """A time of any zone is the same instant afterwards, aware and in UTC."""
    given = datetime(2026, 7, 1, 12, 30, 15, 123456, tzinfo=timezone(timedelta(hours=5.5)))
    async with database.writing() as session:
        session.add(Executor(id="a", beat_at=given))
    async with database.reading() as session:
        read = (await session.scalars(select(Executor.beat_at))).one()
    assert read == given
    assert read.tzinfo is UTC


async def test_a_block_that_fails_leaves_nothing(database: Database) -> None:
    """Nothing of a transaction stays when its block ends with an exception."""
    with pytest.raises(LookupError):
        await _store(database, Workspace(name="gone"), then=LookupError())
    async with database.reading() as session:
        assert (await session.scalars(select(Workspace))).all() == []


async def test_reading_writes_nothing(database: Database) -> None:
    """A reading transaction leaves nothing behind.

    PostgreSQL refuses the statement itself; SQLite has no such transaction, so there it is
    rolled back at the end of the block.
    """
    on_postgresql = database.engine.dialect.name == "postgresql"
    if on_postgresql:
        with pytest.raises(InternalError, match="read-only transaction"):
            await _write_while_reading(database)
    else:
        await _write_while_reading(database)
    async with database.reading() as session:
        assert (await session.scalars(select(Workspace))).all() == []


async def _write_while_reading(database: Database) -> None:
    async with database.reading() as session:
        session.add(Workspace(name="never"))
        await session.flush()


async def test_looking_cannot_write(database: Database) -> None:
    """Both databases refuse it themselves."""
    with pytest.raises(DBAPIError, match=r"readonly|read-only transaction"):
        await _write_while_looking(database)
    async with database.looking() as session:
        assert (await session.scalars(select(Workspace))).all() == []


async def _write_while_looking(database: Database) -> None:
    async with database.looking() as session:
        session.add(Workspace(name="never"))
        await session.flush()


async def test_looking_sees_what_was_committed_last(database: Database) -> None:
    """Each statement anew, within one block too."""
    async with database.looking() as session:
        assert (await session.scalars(select(Workspace.name))).all() == []
        async with database.writing() as writer:
            writer.add(Workspace(name="new"))
        assert (await session.scalars(select(Workspace.name))).all() == ["new"]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_connections_that_the_server_ended_are_replaced(database: Database) -> None:
    """Nobody notices that the server has closed every connection of the pools meanwhile."""
    async with database.looking() as session:
        await session.scalar(text("SELECT 1"))
    async with database.writing() as session:
        mine = await session.scalar(text("SELECT pg_backend_pid()"))
        ended = text(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> :mine"
        )
        assert all((await session.scalars(ended, {"mine": mine})).all())
    async with database.looking() as session:
        assert await session.scalar(text("SELECT 1")) == 1


async def test_no_update_is_lost(database: Database) -> None:
    """Two hundred read-then-write increments at once add up to two hundred."""
    async with database.writing() as session:
        session.add(Workspace(name="0"))

    async def increment() -> None:
        async with database.writing() as session:
            row = (await session.scalars(select(Workspace).with_for_update())).one()
            number = int(row.name)
            await asyncio.sleep(0)
            row.name = str(number + 1)

    await asyncio.gather(*(increment() for _ in range(INCREMENTS)))
    async with database.reading() as session:
        assert (await session.scalars(select(Workspace.name))).one() == str(INCREMENTS)


async def test_readers_do_not_wait_for_a_writer(database: Database) -> None:
    """While one transaction writes, another reads what was there before."""
    async with database.writing() as session:
        session.add(Workspace(name="before"))
    async with database.writing() as writer:
        await writer.execute(update(Workspace).values(name="after"))
        async with database.reading() as reader:
            read = asyncio.create_task(_name(reader))
            done, _ = await asyncio.wait({read}, timeout=2)
            assert done
            assert read.result() == "before"


async def _name(session: AsyncSession) -> str:
    return (await session.scalars(select(Workspace.name))).one()


async def test_foreign_keys_hold(database: Database) -> None:
    """A row of a workspace that is not there is refused, on SQLite too."""
    orphan = Integration(
        workspace_id=new_id(),
        name="x",
        meta_business_id="1",
        app_id="1",
        schedule={},
        graph_version="v26.0",
    )
    with pytest.raises(DBAPIError):
        await _store(database, orphan)


async def test_an_error_shows_no_values(database: Database) -> None:
    """The text of a database error holds neither the parameters nor a row."""
    values = {
        "workspace_id": new_id(),
        "name": "canary",
        "meta_business_id": "1",
        "app_id": "1",
        "schedule": {},
        "graph_version": "v26.0",
    }
    query = text("SELECT :canary FROM nowhere").bindparams(canary="canary-value")
    async with database.writing() as session:
        with pytest.raises(DBAPIError) as caught:
            await session.execute(query)
    assert "canary-value" not in str(caught.value)
    with pytest.raises(DBAPIError) as caught:
        await _store(database, Integration(**values))
    assert "'canary'" not in str(caught.value)


async def test_write_rows_overwrites_what_it_is_told_to(database: Database) -> None:
    """Where the key exists only the named columns change; without names nothing does."""
    first, second = (datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2))
    for beat_at, columns in ((first, ()), (second, ()), (second, ("beat_at",))):
        async with database.writing() as session:
            rows = [{"id": "a", "beat_at": beat_at}]
            await write_rows(session, Executor, rows, key=["id"], update=columns)
        async with database.reading() as session:
            stored = (await session.scalars(select(Executor.beat_at))).one()
        assert stored == (second if columns else first)
    async with database.writing() as session:
        await write_rows(session, Executor, [], key=["id"])


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_sqlite_is_durable_and_strict(database: Database) -> None:
    """Every connection to SQLite has WAL, full synchronisation and foreign keys."""
    expected = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30000}
    async with database.reading() as session:
        found = {name: await session.scalar(text(f"PRAGMA {name}")) for name in expected}
    assert found == expected
