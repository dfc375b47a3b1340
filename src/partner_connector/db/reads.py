"""Small reads in autocommit mode: each statement sees the latest committed data, none can write.

On SQLite, passing a statement to the driver's thread costs more than a small read. So a read first
runs on the event loop, with a limit of steps and without waiting for locks. If that is not enough,
it runs again in the driver's thread.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from itertools import count
from typing import Any

from sqlalchemy import (
    CompoundSelect,
    Dialect,
    Result,
    Select,
    StaticPool,
    create_engine,
    event,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.orm import ORMExecuteState, Session
from sqlalchemy.sql.compiler import SQLCompiler

from partner_connector.db.sql import compact_json

Query = Select[*tuple[Any, ...]] | CompoundSelect[*tuple[Any, ...]]
Rows = Sequence[Sequence[Any]]

# A page of 100 rows takes about 5,200 steps of SQLite's virtual machine, half a millisecond.
_STEPS_PER_CALL = 4_000
_MOST_CALLS = 10


class Reads:
    """Reads through an engine in autocommit mode, whose connections cannot write."""

    def __init__(self, engine: AsyncEngine, session_class: type[Session] = Session) -> None:
        self.engine = engine
        self.session = async_sessionmaker(
            engine,
            sync_session_class=session_class,
            expire_on_commit=False,
            autoflush=False,
            info={Reads: self},
        )

    async def rows(self, query: Query, values: Mapping[str, Any]) -> Rows:
        """Return the rows of a query of columns, without a session."""
        async with self.engine.connect() as connection:
            return (await connection.execute(query, values)).all()

    async def close(self) -> None:
        """Close every connection."""
        await self.engine.dispose()


class SqliteReads(Reads):
    """Reads that try a connection on the event loop first."""

    def __init__(self, engine: AsyncEngine) -> None:

        class SessionOnLoop(Session):
            """Session class of this object, so that its events reach no other sessions."""

        event.listen(SessionOnLoop, "do_orm_execute", self._execute_on_loop)
        super().__init__(engine, SessionOnLoop)
        self._connection: sqlite3.Connection | None = None
        self._engine_on_loop = create_engine(
            "sqlite://",
            creator=self._limited_connection,
            poolclass=StaticPool,
            isolation_level="AUTOCOMMIT",
            skip_autocommit_rollback=True,
            pool_reset_on_return=None,
            hide_parameters=True,
            json_serializer=compact_json,
        )
        # Cached by identity: a caller must keep its query object to profit.
        self._compiled = lru_cache(partial(_Compiled, dialect=engine.dialect))

    async def rows(self, query: Query, values: Mapping[str, Any]) -> Rows:
        """Return the rows of a query of columns, without a session."""
        try:
            return self._compiled(query).rows(self._limited_connection(), values)
        except sqlite3.Error:
            # Interrupted or locked. Any other error is raised again by the engine.
            return await super().rows(query, values)

    async def close(self) -> None:
        """Close every connection."""
        if self._connection is not None:
            self._connection.close()
        await super().close()

    def _execute_on_loop(self, state: ORMExecuteState) -> Result[*tuple[Any, ...]] | None:
        """Execute a session's statement here. On None the session executes it in the thread."""
        self._limited_connection()
        try:
            # All rows are fetched here: the connection is free for the next statement.
            return state.invoke_statement(bind_arguments={"bind": self._engine_on_loop}).freeze()()
        except DBAPIError:
            return None

    def _limited_connection(self) -> sqlite3.Connection:
        if self._connection is None:
            path = self.engine.url.database or ""
            self._connection = sqlite3.connect(path, timeout=0, isolation_level=None)
            self._connection.execute("PRAGMA query_only = ON")
        # SQLite counts the steps of a prepared statement over all its runs, so the first call of
        # the handler may come at any step of this run.
        calls = count(1)
        self._connection.set_progress_handler(lambda: next(calls) > _MOST_CALLS, _STEPS_PER_CALL)
        return self._connection


class _Compiled:
    """A compiled query for SQLite, with the conversions of its values."""

    def __init__(self, query: Query, dialect: Dialect) -> None:
        compiled = query.compile(dialect=dialect)
        assert isinstance(compiled, SQLCompiler)
        self._compiled = compiled
        self._to_driver = {
            name: convert
            for name, bound in compiled.binds.items()
            if (convert := bound.type.dialect_impl(dialect).bind_processor(dialect))
        }
        self._from_driver = {
            place: convert
            for place, column in enumerate(query.selected_columns)
            if (convert := column.type.dialect_impl(dialect).result_processor(dialect, None))
        }

    def rows(self, connection: sqlite3.Connection, values: Mapping[str, Any]) -> Rows:
        """Execute the query on this connection."""
        state = self._compiled.construct_expanded_state(values)
        # The state has the conversions of list members, which are separate parameters.
        to_driver = {**self._to_driver, **state.processors}
        parameters = [
            to_driver[name](value) if name in to_driver else value
            for name, value in zip(
                state.positiontup or (), state.positional_parameters, strict=True
            )
        ]
        rows = connection.execute(state.statement, parameters).fetchall()
        return [self._row(row) for row in rows]

    def _row(self, raw: tuple[Any, ...]) -> list[Any]:
        row = list(raw)
        for place, convert in self._from_driver.items():
            row[place] = convert(row[place])
        return row


async def fetch_rows(
    session: AsyncSession, query: Select[*tuple[Any, ...]], values: Mapping[str, Any]
) -> Rows:
    """Return the rows of a query; without the session, if it is a session of `Reads`.

    A query of entities needs its session, because the entities belong to it.
    """
    reads: Reads | None = session.info.get(Reads)
    if reads is None or any("entity" in each for each in query.column_descriptions):
        return (await session.execute(query, values)).all()
    return await reads.rows(query, values)
