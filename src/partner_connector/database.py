"""The database: engine, transactions, and the few things that differ between the two dialects.

One transaction per request or job step, begun with `Database.writing()` or `Database.reading()`
and committed when the block ends. No transaction is ever open across a network call.
"""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Connection, Table, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import DeclarativeBase

from partner_connector.settings import Settings

log = structlog.get_logger()

_SQLITE_PRAGMAS = (
    # Set first: the others may themselves meet a lock.
    "busy_timeout = 30000",
    "journal_mode = WAL",
    "synchronous = FULL",
    "foreign_keys = ON",
)


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


def _leave_begin_to_us(dbapi_connection: Any, _record: object) -> None:
    dbapi_connection.isolation_level = None


def _begin_sqlite_transaction(connection: Connection) -> None:
    """Writers take the lock at BEGIN: a read that later writes would lose updates or deadlock."""
    read_only = connection.get_execution_options().get("read_only", False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def async_url(url: URL) -> URL:
    """The same database through the driver for asyncio: aiosqlite or psycopg 3."""
    sqlite_driver = url.get_backend_name() == "sqlite"
    return url.set(drivername="sqlite+aiosqlite" if sqlite_driver else "postgresql+psycopg")


class Database:
    """Hands out transactions. `reading()` cannot write; `writing()` commits at its end."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self._write = async_sessionmaker(engine, expire_on_commit=False, autoflush=False)
        read_engine = engine.execution_options(read_only=True, postgresql_readonly=True)
        self._read = async_sessionmaker(read_engine, expire_on_commit=False, autoflush=False)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncSession]:
        """A transaction that commits if the block ends well and rolls back if it does not."""
        async with self._write.begin() as session:
            yield session

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """A read-only view of one instant."""
        async with self._read() as session:
            yield session

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


def open_database(settings: Settings) -> Database:
    """An engine for the configured database. Nothing is connected yet."""
    url = settings.sqlalchemy_url()
    if settings.uses_sqlite:
        engine = create_async_engine(async_url(url), hide_parameters=True, pool_size=8)
        event.listen(engine.sync_engine, "connect", prepare_sqlite_connection)
        event.listen(engine.sync_engine, "connect", _leave_begin_to_us)
        event.listen(engine.sync_engine, "begin", _begin_sqlite_transaction)
    else:
        engine = create_async_engine(
            async_url(url),
            hide_parameters=True,
            pool_size=10,
            max_overflow=10,
            pool_pre_ping=True,
            # Without it a lost lock would hold a request for ever.
            connect_args={"options": "-c lock_timeout=10s -c statement_timeout=60s"},
        )
    return Database(engine)


def clean(text: object, length: int) -> str:
    """Text from outside as both databases can keep it.

    PostgreSQL refuses NUL, and neither stores half of a surrogate pair; a name must not be able to
    stop a whole check.
    """
    kept = str(text).replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
    return kept[:length]


def upsert(
    session: AsyncSession, table: type[DeclarativeBase]
) -> sqlite.Insert | postgresql.Insert:
    """An `INSERT` that knows `ON CONFLICT`, in the dialect of this session."""
    assert isinstance(table.__table__, Table)
    if session.get_bind().dialect.name == "sqlite":
        return sqlite.insert(table.__table__)
    return postgresql.insert(table.__table__)


async def write_rows(
    session: AsyncSession,
    table: type[DeclarativeBase],
    rows: Sequence[dict[str, Any]],
    *,
    key: Sequence[str],
    update: Sequence[str] = (),
) -> None:
    """Insert the rows; where `key` already exists, overwrite the `update` columns of that row."""
    if not rows:
        return
    statement = upsert(session, table)
    if update:
        changes = {column: statement.excluded[column] for column in update}
        await session.execute(
            statement.on_conflict_do_update(index_elements=key, set_=changes), rows
        )
    else:
        await session.execute(statement.on_conflict_do_nothing(index_elements=key), rows)


def migrations_directory() -> Path:
    """Where Alembic's tree is: inside an installed wheel, or beside `src` in a checkout."""
    packaged = Path(__file__).parent / "migrations"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "migrations"
