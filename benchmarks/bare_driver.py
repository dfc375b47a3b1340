"""The least that a check can cost: the same JSON parsed, the same rows written by the bare driver.

The rows that a check has left are taken out of the product's own database and put back, so that
tables, indexes, keys and durability are the same. Nothing is compared, and nobody could stop and go
on half-way.
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

# In this order rows can be inserted; the other way round they can be deleted.
_TABLES = tuple(model.__tablename__ for model in (PartnerUser, Grant, Change))


class Cost(NamedTuple):
    """Seconds by the clock, and seconds of one process's CPU."""

    time: float
    CPU: float


def parse_and_insert(sent: Sequence[Sent], database_url: str) -> Cost:
    """Read every answer, and write the rows that are there now once more."""
    is_sqlite = database_url.startswith("sqlite")
    with (_sqlite if is_sqlite else _postgresql)(database_url) as (rows, insert):
        began = time.perf_counter(), time.process_time()
        for request in sent:
            _parse(request)
        insert(rows)
        return Cost(time.perf_counter() - began[0], time.process_time() - began[1])


def count_changes(database_url: str) -> int:
    """How many rows the change feed has."""
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
    if isinstance(content, list):  # a batch, each item of which has JSON in it
        for item in content:
            json.loads(item["body"])


Rows = Mapping[str, Sequence[Sequence[Any]]]
Bare = tuple[Rows, Callable[[Rows], None]]


@contextmanager
def _sqlite(database_url: str) -> Iterator[Bare]:
    """The rows, taken out, and how to put them back."""
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
def _postgresql(database_url: str) -> Iterator[Bare]:
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
