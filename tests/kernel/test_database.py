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


async def test_naive_time_is_refused(database: Database) -> None:
    """Check that a time without a time zone is refused before it reaches the database."""
    naive = Executor(id="a", beat_at=datetime(2026, 1, 1))  # noqa: DTZ001 - the input under test
    with pytest.raises(StatementError, match="naive"):
        await _store(database, naive)


async def test_time_is_read_in_utc(database: Database) -> None:
    """Check that a time of any zone is read as the same instant, aware and in UTC."""
    given = datetime(2026, 7, 1, 12, 30, 15, 123456, tzinfo=timezone(timedelta(hours=5.5)))
    async with database.writing() as session:
        session.add(Executor(id="a", beat_at=given))
    async with database.reading() as session:
        read = (await session.scalars(select(Executor.beat_at))).one()
    assert read == given
    assert read.tzinfo is UTC


async def test_failed_block_is_rolled_back(database: Database) -> None:
    with pytest.raises(LookupError):
        await _store(database, Workspace(name="rolled back"), then=LookupError())
    async with database.reading() as session:
        assert (await session.scalars(select(Workspace))).all() == []


async def test_write_in_reading_transaction_has_no_effect(database: Database) -> None:
    """Check that a write in a reading transaction has no effect.

    PostgreSQL refuses the statement itself. SQLite has no read-only transaction: there the write is
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


async def test_autocommit_reads_refuse_writes(database: Database) -> None:
    """Check that both databases refuse the write themselves."""
    with pytest.raises(DBAPIError, match=r"readonly|read-only transaction"):
        await _write_in_autocommit_reads(database)
    async with database.autocommit_reads() as session:
        assert (await session.scalars(select(Workspace))).all() == []


async def _write_in_autocommit_reads(database: Database) -> None:
    async with database.autocommit_reads() as session:
        session.add(Workspace(name="never"))
        await session.flush()


async def test_autocommit_reads_see_latest_commit(database: Database) -> None:
    """Check that each statement sees the latest commit, also within one block."""
    async with database.autocommit_reads() as session:
        assert (await session.scalars(select(Workspace.name))).all() == []
        async with database.writing() as writer:
            writer.add(Workspace(name="new"))
        assert (await session.scalars(select(Workspace.name))).all() == ["new"]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_closed_connections_are_replaced(database: Database) -> None:
    """Check that the caller gets no error after the server has closed every pooled connection."""
    async with database.autocommit_reads() as session:
        await session.scalar(text("SELECT 1"))
    async with database.writing() as session:
        mine = await session.scalar(text("SELECT pg_backend_pid()"))
        ended = text(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> :mine"
        )
        assert all((await session.scalars(ended, {"mine": mine})).all())
    async with database.autocommit_reads() as session:
        assert await session.scalar(text("SELECT 1")) == 1


async def test_no_update_is_lost(database: Database) -> None:
    """Check that 200 concurrent increments, each a read and a write, add up to 200."""
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
    """Check that a reader sees the earlier state while another transaction writes."""
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


async def test_foreign_keys_are_enforced(database: Database) -> None:
    """Check that a row of a workspace that does not exist is refused, on SQLite too."""
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


async def test_database_error_shows_no_values(database: Database) -> None:
    """Check that the text of a database error has neither parameters nor the values of a row."""
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


async def test_write_rows_updates_only_named_columns(database: Database) -> None:
    """Check that if the key exists, only the columns in `update` change; without any, nothing
    changes.
    """
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
    """Check that every connection to SQLite has WAL, full synchronisation and foreign keys."""
    expected = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30000}
    async with database.reading() as session:
        found = {name: await session.scalar(text(f"PRAGMA {name}")) for name in expected}
    assert found == expected
