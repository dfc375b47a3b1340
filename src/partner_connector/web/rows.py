"""Conversion of database rows to JSON items of a list, without ORM entities and models.

A list returns stored values almost unchanged. ORM entities, and models that are validated twice,
would cost many times more than the query. Here the type of a selected column converts the raw
driver value to its JSON form, so that a row becomes an item directly.

Only the view defines the form of an item. A test compares every list with its view.
"""

import uuid
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import chain
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from sqlalchemy import ColumnElement, Dialect, FromClause, Uuid, type_coerce
from sqlalchemy.types import UserDefinedType

from partner_connector.db.models.base import UtcDateTime
from partner_connector.ids import IdPrefix, encode
from partner_connector.web.schemas import rfc3339

Converter = Callable[[Any], Any]

_PARENT_CACHE_SIZE = 10_000


class WireRow:
    """Columns for the members of a view: those of a table, and those `computed` by the database."""

    def __init__(
        self, view: type[BaseModel], table: FromClause, **computed: ColumnElement[Any]
    ) -> None:
        selected = {
            name: computed[name] if name in computed else _json_column(table.c[name], field)
            for name, field in view.model_fields.items()
            if name in computed or name in table.c
        }
        self.columns: Sequence[ColumnElement[Any]] = [
            column.label(name) for name, column in selected.items()
        ]
        self._names = tuple(selected)

    def item(self, row: Sequence[Any]) -> dict[str, Any]:
        """Return the item of a row that begins with these columns. The caller adds the others."""
        return dict(zip(self._names, row, strict=False))


def _json_column(column: ColumnElement[Any], field: FieldInfo) -> ColumnElement[Any]:
    if isinstance(column.type, Uuid):
        kind = _WireIdOfParent if column.foreign_keys else _WireId
        return type_coerce(column, kind(_prefix(field)))
    if isinstance(column.type, UtcDateTime):
        return type_coerce(column, _WireInstant())
    return column


def _prefix(field: FieldInfo) -> str:
    alternatives = (getattr(each, "__metadata__", ()) for each in get_args(field.annotation))
    annotations = chain(field.metadata, *alternatives)
    return next(annotation.prefix for annotation in annotations if isinstance(annotation, IdPrefix))


class _WireId(UserDefinedType[str]):
    cache_ok = True

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix

    def result_processor(self, dialect: Dialect, _type: object) -> Converter:
        convert = self._converter(dialect)
        return lambda value: None if value is None else convert(value)

    def _converter(self, dialect: Dialect) -> Converter:
        prefix = self.prefix

        def from_text(text: str) -> str:
            return encode(prefix, int(text, 16))

        def from_uuid(value: uuid.UUID) -> str:
            return encode(prefix, value.int)

        return from_text if dialect.name == "sqlite" else from_uuid


class _WireIdOfParent(_WireId):
    """Id of a parent row, cached: a page has few parents, and many items name each of them."""

    cache_ok = True

    def _converter(self, dialect: Dialect) -> Converter:
        return lru_cache(_PARENT_CACHE_SIZE)(super()._converter(dialect))


class _WireInstant(UserDefinedType[str]):
    cache_ok = True

    def result_processor(self, dialect: Dialect, _type: object) -> Converter:
        return _instant_text_from_sqlite if dialect.name == "sqlite" else _instant_text


def _instant_text(value: datetime | None) -> str | None:
    return None if value is None else rfc3339(value)


def _instant_text_from_sqlite(text: str | None) -> str | None:
    """Return the JSON form of SQLite's `2026-11-24 09:30:00.123456` (UTC): see `UtcDateTime`."""
    return None if text is None else f"{text[:10]}T{text[11:23]}Z"
