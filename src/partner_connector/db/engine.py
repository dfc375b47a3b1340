"""The database: engine, transactions, and the few things that differ between the two dialects.

One transaction per request or job step, begun with `Database.writing()` or `Database.reading()`
and committed when the block ends. No transaction is ever open across a network call.
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
    # Set first: the others may themselves meet a lock.
    "busy_timeout = 30000",
    "journal_mode = WAL",
    "synchronous = FULL",
    "foreign_keys = ON",
    # In KiB. With the default of 2 MiB a great check writes pages of its indexes again and again.
    "cache_size = -8000",
)

# A transaction idles this long only where its process is frozen or its host is gone: the locks
# have to be free by the time that others take its work over.
IDLE_TRANSACTION_SECONDS = 20
# Without the first a lost lock would hold a request for ever.
_POSTGRESQL_OPTIONS = (
    "-c lock_timeout=10s -c statement_timeout=60s "
    f"-c idle_in_transaction_session_timeout={IDLE_TRANSACTION_SECONDS}s"
)
_POSTGRESQL_READ_ONLY = "-c default_transaction_read_only=on"

# Each statement is one of its own, and nothing is left to be rolled back when it is done.
_NO_TRANSACTIONS = {
    "isolation_level": "AUTOCOMMIT",
    "skip_autocommit_rollback": True,
    "pool_reset_on_return": None,
}


def _unixepoch(*arguments: object) -> float | int:
    # The engine's SQL calls unixepoch('subsec'), which SQLite has only since 3.42.
    return time.time() if arguments and arguments[-1] == "subsec" else int(time.time())


def prepare_sqlite_connection(dbapi_connection: Any, _record: object) -> None:
    """Make a SQLite connection durable, strict and patient."""
    cursor = dbapi_connection.cursor()
    for pragma in _SQLITE_PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
    for count in (0, 1, 2):
        dbapi_connection.create_function("unixepoch", count, _unixepoch)


def keep_a_log_ahead(dbapi_connection: Any, _record: object) -> None:
    """Have the file be in WAL mode from its first day: of two connections that want to change the
    mode at once one is refused, however patient it is.
    """
    dbapi_connection.execute("PRAGMA journal_mode = WAL").close()


def leave_begin_to_us(dbapi_connection: Any, _record: object) -> None:
    """Keep the driver from committing before statements that change the schema."""
    dbapi_connection.isolation_level = None


def begin_sqlite_transaction(connection: Connection) -> None:
    """Writers take the lock at BEGIN: a read that later writes would lose updates or deadlock."""
    read_only = connection.get_execution_options().get("read_only", False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def refuse_writes(dbapi_connection: Any, _record: object) -> None:
    """Make a SQLite connection one that only looks."""
    cursor = dbapi_connection.cursor()
    cursor.execute("PRAGMA query_only = ON")
    cursor.close()


def refuse_what_the_server_ended(dbapi_connection: Any, _record: object, _proxy: object) -> None:
    """Have the pool replace a connection that its server has closed or said farewell on.

    That is told by the socket itself: nothing else comes while nothing was asked. To ask the server
    each time would cost as much as a small read.
    """
    watch = select.poll()
    watch.register(dbapi_connection.driver_connection.fileno(), select.POLLIN)
    if watch.poll(0):
        raise DisconnectionError


def async_url(url: URL) -> URL:
    """The same database through the driver for asyncio: aiosqlite or psycopg 3."""
    sqlite_driver = url.get_backend_name() == "sqlite"
    return url.set(drivername="sqlite+aiosqlite" if sqlite_driver else "postgresql+psycopg")


Guard = Callable[[AsyncSession], Awaitable[None]]


class Database:
    """Hands out transactions. `reading()` cannot write; `writing()` commits at its end."""

    def __init__(self, engine: AsyncEngine, reads: Reads, guard: Guard | None = None) -> None:
        self.engine = engine
        self._reads = reads
        self._guard = guard
        self._write = async_sessionmaker(
            engine,
            expire_on_commit=False,
            autoflush=False,
            # No code reads a loaded object again after an UPDATE or DELETE of many rows.
            execution_options={"synchronize_session": False},
        )
        read_engine = engine.execution_options(read_only=True, postgresql_readonly=True)
        self._read = async_sessionmaker(read_engine, expire_on_commit=False, autoflush=False)

    def guarded_by(self, guard: Guard) -> "Database":
        """The same database, whose every writing transaction asks the guard before it commits."""
        return Database(self.engine, self._reads, guard)

    @asynccontextmanager
    async def writing(self, *, at_length: bool = False) -> AsyncIterator[AsyncSession]:
        """A transaction that commits if the block ends well and rolls back if it does not.

        `at_length` is for the worker's great changes: it may take minutes, and wait for one.
        """
        async with self._write.begin() as session:
            if at_length and self.engine.dialect.name == "postgresql":
                await session.execute(text("SET LOCAL statement_timeout = 0"))
                await session.execute(text("SET LOCAL lock_timeout = '60s'"))
            yield session
            if self._guard is not None:
                await session.flush()
                await self._guard(session)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """A read-only view of one instant."""
        async with self._read() as session:
            yield session

    @asynccontextmanager
    async def looking(self) -> AsyncIterator[AsyncSession]:
        """Statements that see what is there when each of them runs, and cannot write.

        No transaction has to be begun or ended, which costs more than a small read itself.
        """
        async with self._reads.session() as session:
            yield session

    async def look_up(self, query: Query, **values: object) -> Sequence[Any]:
        """Return the one row of a small query, without a session."""
        (row,) = await self._reads.rows(query, values)
        return row

    def typed(self, column: ColumnElement[Any], value: Any) -> Any:
        """Convert a raw driver value to the column's Python type."""
        dialect = self.engine.dialect
        read = column.type.dialect_impl(dialect).result_processor(dialect, None)
        return value if read is None else read(value)

    async def refresh_statistics(self, *tables: str) -> None:
        """Tell PostgreSQL's planner of rows that have just come: else its joins are quadratic.

        In a transaction of its own, since it locks the tables against others who do the same, and
        given up soon, since it only saves time.
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
        """Close every pooled connection."""
        await self.engine.dispose()
        await self._reads.close()


def open_database(settings: Settings) -> Database:
    """Engines for the configured database. Nothing is connected yet."""
    locks.asserting = locks.asserting or settings.assert_lock_order
    if settings.uses_sqlite:
        engine = _engine(settings, pool_size=8)
        event.listen(engine.sync_engine, "connect", prepare_sqlite_connection)
        event.listen(engine.sync_engine, "connect", leave_begin_to_us)
        event.listen(engine.sync_engine, "begin", begin_sqlite_transaction)
        looking = _engine(settings, pool_size=8, **_NO_TRANSACTIONS)
        event.listen(looking.sync_engine, "connect", prepare_sqlite_connection)
        event.listen(looking.sync_engine, "connect", refuse_writes)
        return Database(engine, SqliteReads(looking))
    pool = {"pool_size": 5, "max_overflow": 5}
    with_options = {"connect_args": {"options": _POSTGRESQL_OPTIONS}}
    engine = _engine(settings, **pool, **with_options)
    read_only = {"connect_args": {"options": f"{_POSTGRESQL_OPTIONS} {_POSTGRESQL_READ_ONLY}"}}
    looking = _engine(settings, **pool, **read_only, **_NO_TRANSACTIONS)
    for each in (engine, looking):
        event.listen(each.sync_engine, "checkout", refuse_what_the_server_ended)
    return Database(engine, Reads(looking))


def _engine(settings: Settings, **options: Any) -> AsyncEngine:
    return create_async_engine(
        async_url(settings.sqlalchemy_url()),
        hide_parameters=True,
        json_serializer=compact_json,
        **options,
    )


def migrations_directory() -> Path:
    """Where Alembic's tree is: inside an installed wheel, or beside `src` in a checkout."""
    packaged = Path(__file__).parents[1] / "migrations"
    return packaged if packaged.is_dir() else Path(__file__).parents[3] / "migrations"
