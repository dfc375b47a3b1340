"""Rows as the wire writes them, straight from the driver.

A list shows what is stored, nearly as it is stored. Entities of the ORM, and then models that are
validated twice, cost many times what the read itself does. Here the type of a selected column turns
what the driver has, whichever it is, into the text of the wire, and a row is an item.

What an item has to look like is said by its view alone, and a test holds every list to it.
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

Read = Callable[[Any], Any]

_PARENTS_KEPT = 10_000


class WireRow:
    """The members of a view that a row has: stored in a table, or `computed` by the database."""

    def __init__(
        self, view: type[BaseModel], table: FromClause, **computed: ColumnElement[Any]
    ) -> None:
        selected = {
            name: computed[name] if name in computed else _written(table.c[name], field)
            for name, field in view.model_fields.items()
            if name in computed or name in table.c
        }
        self.columns: Sequence[ColumnElement[Any]] = [
            column.label(name) for name, column in selected.items()
        ]
        self._names = tuple(selected)

    def item(self, row: Sequence[Any]) -> dict[str, Any]:
        """A row that begins with these columns. Members that it cannot have are the caller's."""
        return dict(zip(self._names, row, strict=False))


def _written(column: ColumnElement[Any], field: FieldInfo) -> ColumnElement[Any]:
    if isinstance(column.type, Uuid):
        kind = _WireIdOfParent if column.foreign_keys else _WireId
        return type_coerce(column, kind(_prefix(field)))
    if isinstance(column.type, UtcDateTime):
        return type_coerce(column, _WireInstant())
    return column


def _prefix(field: FieldInfo) -> str:
    of_alternatives = (getattr(each, "__metadata__", ()) for each in get_args(field.annotation))
    marks = chain(field.metadata, *of_alternatives)
    return next(mark.prefix for mark in marks if isinstance(mark, IdPrefix))


class _WireId(UserDefinedType[str]):
    cache_ok = True

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix

    def result_processor(self, dialect: Dialect, _type: object) -> Read:
        write = self._written_by(dialect)
        return lambda value: None if value is None else write(value)

    def _written_by(self, dialect: Dialect) -> Read:
        prefix = self.prefix

        def of_text(text: str) -> str:
            return encode(prefix, int(text, 16))

        def of_uuid(value: uuid.UUID) -> str:
            return encode(prefix, value.int)

        return of_text if dialect.name == "sqlite" else of_uuid


class _WireIdOfParent(_WireId):
    """Of parents there are few, and the items of a page name them again and again."""

    cache_ok = True

    def _written_by(self, dialect: Dialect) -> Read:
        return lru_cache(_PARENTS_KEPT)(super()._written_by(dialect))


class _WireInstant(UserDefinedType[str]):
    cache_ok = True

    def result_processor(self, dialect: Dialect, _type: object) -> Read:
        return _instant_of_text if dialect.name == "sqlite" else _instant


def _instant(value: datetime | None) -> str | None:
    return None if value is None else rfc3339(value)


def _instant_of_text(text: str | None) -> str | None:
    """SQLite has `2026-11-24 09:30:00.123456`, in UTC: see `UtcDateTime`."""
    return None if text is None else f"{text[:10]}T{text[11:23]}Z"
