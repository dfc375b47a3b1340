"""Engines, connections and transactions, for SQLite and PostgreSQL.

A request or job step uses one transaction, begun with `Database.writing()` or `Database.reading()`
and ended with the block. No transaction is open during a network call.
"""

import select
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import ColumnElement, Connection, event, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DisconnectionError, OperationalError
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

from partner_connector.db import locks
from partner_connector.db.reads import Query, Reads, SqliteReads
from partner_connector.db.sql import compact_json
from partner_connector.settings import Settings

log = structlog.get_logger()

_SQLITE_PRAGMAS = (
    # In milliseconds. First, because the other pragmas may wait for a lock.
    "busy_timeout = 30000",
    "journal_mode = WAL",
    "synchronous = FULL",
    "foreign_keys = ON",
    # In KiB. With the default of 2 MiB a large sync job writes the same index pages repeatedly.
    "cache_size = -8000",
)

# A transaction idles this long only if its process is frozen or its host is gone. Its locks must be
# released before another worker takes over its work.
IDLE_TRANSACTION_SECONDS = 20
# Without `lock_timeout` a lock that is never released would block a request forever.
_POSTGRESQL_OPTIONS = (
    "-c lock_timeout=10s -c statement_timeout=60s "
    f"-c idle_in_transaction_session_timeout={IDLE_TRANSACTION_SECONDS}s"
)
_POSTGRESQL_READ_ONLY = "-c default_transaction_read_only=on"

# Autocommit: each statement is its own transaction, so the pool has nothing to roll back.
_AUTOCOMMIT = {
    "isolation_level": "AUTOCOMMIT",
    "skip_autocommit_rollback": True,
    "pool_reset_on_return": None,
}


def _unixepoch(*arguments: object) -> float | int:
    # DBOS calls unixepoch('subsec'), which SQLite supports only since 3.42.
    return time.time() if arguments and arguments[-1] == "subsec" else int(time.time())


def prepare_sqlite_connection(dbapi_connection: Any, _record: object) -> None:
    """Set up a SQLite connection: durable writes, foreign keys, 30 s wait for locks."""
    cursor = dbapi_connection.cursor()
    for pragma in _SQLITE_PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
    for count in (0, 1, 2):
        dbapi_connection.create_function("unixepoch", count, _unixepoch)


def enable_wal(dbapi_connection: Any, _record: object) -> None:
    """Set a new SQLite file to WAL mode.

    When two connections change the mode at the same time, SQLite refuses one without waiting.
    """
    dbapi_connection.execute("PRAGMA journal_mode = WAL").close()


def disable_driver_transactions(dbapi_connection: Any, _record: object) -> None:
    """Disable the driver's own transactions, which commit before a change of the schema."""
    dbapi_connection.isolation_level = None


def begin_sqlite_transaction(connection: Connection) -> None:
    """Begin a transaction; a writing one takes the write lock at once.

    A transaction that reads first and writes later would fail or overwrite other changes.
    """
    read_only = connection.get_execution_options().get("read_only", False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def make_read_only(dbapi_connection: Any, _record: object) -> None:
    """Make a SQLite connection read-only."""
    cursor = dbapi_connection.cursor()
    cursor.execute("PRAGMA query_only = ON")
    cursor.close()


def discard_closed_connections(dbapi_connection: Any, _record: object, _proxy: object) -> None:
    """Make the pool replace a connection that the PostgreSQL server has closed.

    An idle connection's socket is readable only after the server closed it or sent an error. A
    test query instead would cost as much as a small read.
    """
    poll = select.poll()
    poll.register(dbapi_connection.driver_connection.fileno(), select.POLLIN)
    if poll.poll(0):
        raise DisconnectionError


def async_url(url: URL) -> URL:
    """Return the database URL with the asyncio driver: aiosqlite or psycopg 3."""
    sqlite_driver = url.get_backend_name() == "sqlite"
    return url.set(drivername="sqlite+aiosqlite" if sqlite_driver else "postgresql+psycopg")


Guard = Callable[[AsyncSession], Awaitable[None]]


class Database:
    """Transactions and reads of one database."""

    def __init__(self, engine: AsyncEngine, reads: Reads, guard: Guard | None = None) -> None:
        self.engine = engine
        self._reads = reads
        self._guard = guard
        self._write = async_sessionmaker(
            engine,
            expire_on_commit=False,
            autoflush=False,
            # No code uses loaded objects after an UPDATE or DELETE of many rows.
            execution_options={"synchronize_session": False},
        )
        read_engine = engine.execution_options(read_only=True, postgresql_readonly=True)
        self._read = async_sessionmaker(read_engine, expire_on_commit=False, autoflush=False)

    def guarded_by(self, guard: Guard) -> "Database":
        """Return the same database with a guard, which runs before each commit and may raise."""
        return Database(self.engine, self._reads, guard)

    @asynccontextmanager
    async def writing(self, *, long_running: bool = False) -> AsyncIterator[AsyncSession]:
        """Open a transaction; commit at the end of the block, roll back if it raises.

        `long_running` is for large changes of the worker, on PostgreSQL: it removes the statement
        timeout and waits up to 60 s for a lock.
        """
        async with self._write.begin() as session:
            if long_running and self.engine.dialect.name == "postgresql":
                await session.execute(text("SET LOCAL statement_timeout = 0"))
                await session.execute(text("SET LOCAL lock_timeout = '60s'"))
            yield session
            if self._guard is not None:
                await session.flush()
                await self._guard(session)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """Open a read-only transaction, in which all statements see the same data."""
        async with self._read() as session:
            yield session

    @asynccontextmanager
    async def autocommit_reads(self) -> AsyncIterator[AsyncSession]:
        """Open a read-only session in autocommit mode: each statement sees the latest data.

        It saves the beginning and end of a transaction, which cost more than a small read.
        """
        async with self._reads.session() as session:
            yield session

    async def fetch_row(self, query: Query, **values: object) -> Sequence[Any]:
        """Return the one row of a small query, without a session."""
        (row,) = await self._reads.rows(query, values)
        return row

    def typed(self, column: ColumnElement[Any], value: Any) -> Any:
        """Convert a raw driver value to the column's Python type."""
        dialect = self.engine.dialect
        read = column.type.dialect_impl(dialect).result_processor(dialect, None)
        return value if read is None else read(value)

    async def refresh_statistics(self, *tables: str) -> None:
        """Update PostgreSQL's statistics after many inserts; without them its joins are quadratic.

        It runs in a separate transaction, because it locks the tables against other updates of the
        statistics. It waits only 1 s for that lock, because it only saves time.
        """
        if self.engine.dialect.name != "postgresql":
            return
        try:
            async with self.writing() as session:
                await session.execute(text("SET LOCAL lock_timeout = '1s'"))
                await session.execute(text(f"ANALYZE {', '.join(tables)}"))
        except OperationalError as error:
            log.info("statistics_not_refreshed", error=type(error).__name__)

    async def close(self) -> None:
        """Close all pooled connections."""
        await self.engine.dispose()
        await self._reads.close()


def open_database(settings: Settings) -> Database:
    """Return the configured database. It connects at the first use."""
    locks.raise_on_violation = locks.raise_on_violation or settings.assert_lock_order
    if settings.uses_sqlite:
        engine = _engine(settings, pool_size=8)
        event.listen(engine.sync_engine, "connect", prepare_sqlite_connection)
        event.listen(engine.sync_engine, "connect", disable_driver_transactions)
        event.listen(engine.sync_engine, "begin", begin_sqlite_transaction)
        reads = _engine(settings, pool_size=8, **_AUTOCOMMIT)
        event.listen(reads.sync_engine, "connect", prepare_sqlite_connection)
        event.listen(reads.sync_engine, "connect", make_read_only)
        return Database(engine, SqliteReads(reads))
    pool = {"pool_size": 5, "max_overflow": 5}
    with_options = {"connect_args": {"options": _POSTGRESQL_OPTIONS}}
    engine = _engine(settings, **pool, **with_options)
    read_only = {"connect_args": {"options": f"{_POSTGRESQL_OPTIONS} {_POSTGRESQL_READ_ONLY}"}}
    reads = _engine(settings, **pool, **read_only, **_AUTOCOMMIT)
    for each in (engine, reads):
        event.listen(each.sync_engine, "checkout", discard_closed_connections)
    return Database(engine, Reads(reads))


def _engine(settings: Settings, **options: Any) -> AsyncEngine:
    return create_async_engine(
        async_url(settings.sqlalchemy_url()),
        hide_parameters=True,
        json_serializer=compact_json,
        **options,
    )


def migrations_directory() -> Path:
    """Return Alembic's directory: inside an installed wheel, or next to `src` in a checkout."""
    packaged = Path(__file__).parents[1] / "migrations"
    return packaged if packaged.is_dir() else Path(__file__).parents[3] / "migrations"
