"""The lowest possible cost of a check: parse the same JSON, write the same rows with the driver.

The rows of a finished check are removed from the product's database and inserted again, so that
tables, indexes, keys and durability are the same. Nothing is compared, and an interrupted run
could not be resumed.
"""

import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import psycopg
from psycopg.types.string import TextLoader
from sqlalchemy.engine import make_url

from benchmarks.replay import Sent
from partner_connector.db.engine import prepare_sqlite_connection
from partner_connector.db.models import Change, Grant, PartnerUser

# Foreign keys need this order for inserts, and the reverse order for deletes.
_TABLES = tuple(model.__tablename__ for model in (PartnerUser, Grant, Change))


class Cost(NamedTuple):
    """Elapsed seconds, and CPU seconds of one process."""

    time: float
    CPU: float


def parse_and_insert(sent: Sequence[Sent], database_url: str) -> Cost:
    """Parse every answer, and insert the current rows again."""
    is_sqlite = database_url.startswith("sqlite")
    with (_sqlite if is_sqlite else _postgresql)(database_url) as (rows, insert):
        began = time.perf_counter(), time.process_time()
        for request in sent:
            _parse(request)
        insert(rows)
        return Cost(time.perf_counter() - began[0], time.process_time() - began[1])


def count_changes(database_url: str) -> int:
    """Return the number of rows of the change feed."""
    url = make_url(database_url)
    statement = f"SELECT count(*) FROM {Change.__tablename__}"
    if url.get_backend_name() == "sqlite":
        connection = sqlite3.connect(url.database or "")
        try:
            return int(connection.execute(statement).fetchone()[0])
        finally:
            connection.close()
    with psycopg.connect(database_url) as server:
        row = server.execute(statement.encode()).fetchone()
        return int(row[0]) if row else 0


def _parse(request: Sent) -> None:
    content = json.loads(request.answer)
    if isinstance(content, list):  # a batch: the body of each item is JSON
        for item in content:
            json.loads(item["body"])


Rows = Mapping[str, Sequence[Sequence[Any]]]
RowsAndInsert = tuple[Rows, Callable[[Rows], None]]


@contextmanager
def _sqlite(database_url: str) -> Iterator[RowsAndInsert]:
    """Remove the rows. Yield them with a function that inserts them."""
    connection = sqlite3.connect(make_url(database_url).database or "", isolation_level=None)
    prepare_sqlite_connection(connection, None)
    rows = {table: connection.execute(f"SELECT * FROM {table}").fetchall() for table in _TABLES}
    for table in reversed(_TABLES):
        connection.execute(f"DELETE FROM {table}")

    def insert(rows: Rows) -> None:
        connection.execute("BEGIN IMMEDIATE")
        for table, tuples in rows.items():
            if tuples:
                connection.executemany(_insert(table, len(tuples[0]), "?"), tuples)
        connection.execute("COMMIT")

    yield rows, insert
    connection.close()


@contextmanager
def _postgresql(database_url: str) -> Iterator[RowsAndInsert]:
    with psycopg.connect(database_url, autocommit=True) as server:
        # JSON stays text, as it comes from SQLite.
        server.adapters.register_loader("jsonb", TextLoader)
        rows = {
            table: server.execute(f"SELECT * FROM {table}".encode()).fetchall() for table in _TABLES
        }
        server.execute(f"TRUNCATE {', '.join(_TABLES)}".encode())

        def insert(rows: Rows) -> None:
            with server.transaction(), server.cursor() as cursor:
                for table, tuples in rows.items():
                    if tuples:
                        statement = _insert(table, len(tuples[0]), "%s")
                        cursor.executemany(statement.encode(), tuples)

        yield rows, insert


def _insert(table: str, columns: int, mark: str) -> str:
    return f"INSERT INTO {table} VALUES ({', '.join([mark] * columns)})"
