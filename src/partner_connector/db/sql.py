"""SQL that differs between the two databases, and inserts of many rows."""

import json
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    ColumnElement,
    Table,
    literal_column,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import (
    AsyncSession,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase, InstrumentedAttribute
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from partner_connector.db.models.base import Json


def compact_json(value: object) -> str:
    """Return JSON without spaces, as SQLite's functions write it: SQLite compares JSON as text."""
    return json.dumps(value, separators=(",", ":"))


def storable_text(text: object, length: int) -> str:
    """Return external text as both databases can store it, cut to `length` characters.

    PostgreSQL refuses NUL, and both refuse half of a surrogate pair. A name with such a character
    must not make a sync job fail.
    """
    kept = str(text).replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
    return kept[:length]


def upsert(
    session: AsyncSession, table: type[DeclarativeBase]
) -> sqlite.Insert | postgresql.Insert:
    """Return an `INSERT` that supports `ON CONFLICT`, in the dialect of the session."""
    assert isinstance(table.__table__, Table)
    if session.get_bind().dialect.name == "sqlite":
        return sqlite.insert(table.__table__)
    return postgresql.insert(table.__table__)


class json_object(FunctionElement[Any]):  # noqa: N801 - spelled like the SQL function
    """A JSON object of named columns, which the database builds."""

    inherit_cache = True
    type = Json

    def __init__(self, **members: ColumnElement[Any] | InstrumentedAttribute[Any]) -> None:
        named: Iterator[Any] = (
            (literal_column(f"'{name}'"), member) for name, member in members.items()
        )
        super().__init__(*chain.from_iterable(named))


@compiles(json_object, "postgresql")
def _json_object_of_postgresql(element: json_object, compiler: SQLCompiler, **options: Any) -> str:
    return f"jsonb_build_object({compiler.process(element.clauses, **options)})"


@compiles(json_object, "sqlite")
def _json_object_of_sqlite(element: json_object, compiler: SQLCompiler, **options: Any) -> str:
    """Return SQL that marks JSON and booleans, which SQLite stores as text and numbers."""

    def member(clause: ColumnElement[Any]) -> str:
        rendered = compiler.process(clause, **options)
        if isinstance(clause.type, JSON):
            return f"json({rendered})"
        if isinstance(clause.type, Boolean):
            return f"json(iif({rendered}, 'true', 'false'))"
        return rendered

    return f"json_object({', '.join(member(clause) for clause in element.clauses)})"


async def write_rows(
    session: AsyncSession,
    table: type[DeclarativeBase],
    rows: Sequence[dict[str, Any]],
    *,
    key: Sequence[str],
    update: Sequence[str] = (),
) -> None:
    """Insert the rows; if `key` exists, overwrite the `update` columns of that row."""
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
