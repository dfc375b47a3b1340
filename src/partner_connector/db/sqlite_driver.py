"""aiosqlite with as few hand-overs between threads as can be.

A connection works in a thread of its own. SQLAlchemy's adapter hands it four things for each
statement (make a cursor, execute, fetch, close), and each time two threads wait for each other and
for the interpreter: most of what a small read cost. Here it is one.

A connection that only looks tries first without any: a page is read in less time than a hand-over
takes. What turns out to be more than that, or would have to wait, is given up and handed over.
"""

import sqlite3
from collections import deque
from collections.abc import Callable
from typing import Any

import aiosqlite
from sqlalchemy.dialects.sqlite.aiosqlite import (
    AsyncAdapt_aiosqlite_connection,
    AsyncAdapt_aiosqlite_cursor,
    AsyncAdapt_aiosqlite_dbapi,
)
from sqlalchemy.util.concurrency import await_

# In steps of SQLite's machine: a page of a hundred takes some ten thousand, half a millisecond.
_AT_ONCE = 40_000
BUSY_MILLISECONDS = 30_000

Work = Callable[[str, tuple[Any, ...]], None]


class _Cursor(AsyncAdapt_aiosqlite_cursor):
    """Knows all that a statement answered by the time that it was executed."""

    __slots__ = ("_described", "_last_row_id", "_row_count")

    def __init__(self, connection: AsyncAdapt_aiosqlite_connection) -> None:
        self._adapt_connection = connection
        self._connection = connection._connection  # noqa: SLF001 - as the class that this extends
        self._rows = deque()
        self._described: Any = None
        self._row_count = -1
        self._last_row_id: int | None = None

    @property
    def description(self) -> Any:
        return self._described

    @property
    def rowcount(self) -> int:
        return self._row_count

    @property
    def lastrowid(self) -> int:
        return self._last_row_id or 0

    def execute(self, operation: Any, parameters: Any = None) -> None:
        self._hand_over(self._in_its_thread, "execute", (operation, parameters or ()))

    def executemany(self, operation: Any, seq_of_parameters: Any) -> None:
        self._hand_over(self._in_its_thread, "executemany", (operation, seq_of_parameters))

    def close(self) -> None:
        self._rows.clear()

    async def _async_soft_close(self) -> None:
        """Nothing is open any more."""

    def _hand_over(self, work: Work, name: str, arguments: tuple[Any, ...]) -> None:
        """Run it in the connection's thread, and wait as the event loop waits."""
        try:
            # Not of aiosqlite's public names, but what every one of its methods is made of.
            await_(self._connection._execute(work, name, arguments))  # noqa: SLF001
        except Exception as error:
            self._adapt_connection._handle_exception(error)  # noqa: SLF001 - as above

    def _in_its_thread(self, name: str, arguments: tuple[Any, ...]) -> None:
        connection: sqlite3.Connection = self._connection._conn  # noqa: SLF001 - as above
        cursor = connection.cursor()
        try:
            getattr(cursor, name)(*arguments)
            self._described = cursor.description
            if cursor.description:
                self._rows = deque(cursor.fetchall())
            self._row_count, self._last_row_id = cursor.rowcount, cursor.lastrowid
        finally:
            cursor.close()


class _LookingCursor(_Cursor):
    __slots__ = ()

    def execute(self, operation: Any, parameters: Any = None) -> None:
        # Awaited, though nothing is waited for: SQLAlchemy insists on it.
        if not await_(self._is_done_at_once(operation, parameters or ())):
            self._hand_over(self._patiently, "execute", (operation, parameters or ()))

    async def _is_done_at_once(self, operation: Any, parameters: Any) -> bool:
        connection: sqlite3.Connection = self._connection._conn  # noqa: SLF001 - as above
        connection.set_progress_handler(_stop, _AT_ONCE)
        try:
            self._in_its_thread("execute", (operation, parameters))
        except sqlite3.Error:
            # Interrupted, or locked: if it is something else, that will be told again.
            return False
        finally:
            connection.set_progress_handler(None, 0)
        return True

    def _patiently(self, name: str, arguments: tuple[Any, ...]) -> None:
        """In a thread a lock may be waited for."""
        connection: sqlite3.Connection = self._connection._conn  # noqa: SLF001 - as above
        connection.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
        try:
            self._in_its_thread(name, arguments)
        finally:
            connection.execute("PRAGMA busy_timeout = 0")


def _stop() -> int:
    return 1


class _Connection(AsyncAdapt_aiosqlite_connection):
    __slots__ = ()
    _cursor_cls: type[AsyncAdapt_aiosqlite_cursor] = _Cursor


class _LookingConnection(_Connection):
    __slots__ = ()
    _cursor_cls = _LookingCursor


class _Driver(AsyncAdapt_aiosqlite_dbapi):
    adapted = _Connection

    def connect(self, *arguments: Any, **options: Any) -> AsyncAdapt_aiosqlite_connection:
        made = super().connect(*arguments, **options)
        return self.adapted(self, made._connection)  # noqa: SLF001 - the same one, otherwise adapted


class _LookingDriver(_Driver):
    adapted = _LookingConnection


# Each for `create_async_engine(…, module=…)`.
driver: Any = _Driver(aiosqlite, sqlite3)
looking_driver: Any = _LookingDriver(aiosqlite, sqlite3)
