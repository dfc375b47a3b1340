"""Keyset pages: the next page starts where the last one ended, however deep the list is.

A cursor is sealed, so that it can neither be read nor edited, and bound to the workspace, the
filters and the sort that it was made for.
"""

import base64
import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from nacl.exceptions import CryptoError
from nacl.secret import SecretBox
from sqlalchemy import ColumnElement, Dialect, Integer, Select, bindparam, tuple_, type_coerce
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.types import NullType

from partner_connector.db.reads import fetch_rows
from partner_connector.errors import CursorInvalid


class KeysetOrder:
    """A total order: columns that are never null, the last of them unique. All one direction."""

    def __init__(self, columns: Sequence[ColumnElement[Any]], *, descending: bool = False) -> None:
        self.columns = columns
        self.descending = descending
        self.direction = [each.desc() if descending else each.asc() for each in columns]
        # As the driver has them: of one row alone they are wanted as what they are.
        self.keys = [
            type_coerce(column, NullType()).label(f"key_{place}")
            for place, column in enumerate(columns)
        ]


@lru_cache
def _page_of(
    query: Select[*tuple[Any, ...]], order: KeysetOrder, *, continued: bool
) -> Select[*tuple[Any, ...]]:
    """One page, to be executed with `rows_wanted` and, if it is continued, `after_0`, `after_1` …

    Kept for a query that is kept itself: SQLAlchemy then knows the statement at a glance.
    """
    if continued:
        here = tuple_(*order.columns)
        start = tuple_(
            *(
                bindparam(f"after_{place}", type_=column.type)
                for place, column in enumerate(order.columns)
            )
        )
        query = query.where(here < start if order.descending else here > start)
    keyed = query.add_columns(*order.keys).order_by(*order.direction)
    return keyed.limit(bindparam("rows_wanted", type_=Integer()))


class CursorCodec:
    """Seals positions in a list with a key of the service's own."""

    def __init__(self, key: bytes) -> None:
        self._box = SecretBox(key)

    def encode(self, position: Sequence[Any], binding: str) -> str:
        """The cursor of a position; only `decode` with the same binding reads it."""
        values = [_to_json(value) for value in position]
        sealed = self._box.encrypt(json.dumps([binding, values], ensure_ascii=False).encode())
        return base64.urlsafe_b64encode(bytes(sealed)).rstrip(b"=").decode()

    def decode(self, cursor: str, binding: str) -> list[Any]:
        """Raises `CursorInvalid` for anything that this list did not hand out itself."""
        try:
            sealed = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
            made_for, values = json.loads(self._box.decrypt(sealed))
        except (CryptoError, ValueError, TypeError):
            raise CursorInvalid from None
        if made_for != binding:
            raise CursorInvalid
        return [_from_json(value) for value in values]


def _to_json(value: Any) -> Any:
    if isinstance(value, uuid.UUID):
        return {"uuid": value.hex}
    if isinstance(value, datetime):
        return {"time": value.isoformat()}
    return value


def _from_json(value: Any) -> Any:
    if isinstance(value, dict):
        if "uuid" in value:
            return uuid.UUID(value["uuid"])
        return datetime.fromisoformat(value["time"])
    return value


def _typed(value: Any, column: ColumnElement[Any], dialect: Dialect) -> Any:
    read = column.type.dialect_impl(dialect).result_processor(dialect, None)
    return value if read is None else read(value)


@dataclass
class PageRequest:
    """One call of a list: how much, from where, and what the cursor must have been made for."""

    size: int
    cursor: str | None
    codec: CursorCodec
    shape: str
    """Everything that shapes the list but position and size: its path and its filters."""

    async def fetch(
        self,
        session: AsyncSession,
        workspace_id: uuid.UUID,
        query: Select[*tuple[Any, ...]],
        order: KeysetOrder,
        values: Mapping[str, Any] = MappingProxyType({}),
    ) -> tuple[list[Any], str | None]:
        """The rows of this page and the cursor of the next. One statement, one row too many.

        `values` are those of the query's own parameters; it may have `workspace_id` as well. The
        order's columns come last in every row. Raises `CursorInvalid`.
        """
        binding = self._binding(workspace_id)
        after = [] if self.cursor is None else self.codec.decode(self.cursor, binding)
        if self.cursor is not None and len(after) != len(order.columns):
            raise CursorInvalid
        statement = _page_of(query, order, continued=self.cursor is not None)
        start = {f"after_{place}": value for place, value in enumerate(after)}
        wanted = {"workspace_id": workspace_id, "rows_wanted": self.size + 1}
        rows = list(await fetch_rows(session, statement, {**values, **start, **wanted}))
        if len(rows) <= self.size:
            return rows, None
        position = rows[self.size - 1][-len(order.columns) :]
        dialect = session.get_bind().dialect
        typed = [_typed(*pair, dialect) for pair in zip(position, order.columns, strict=True)]
        return rows[: self.size], self.codec.encode(typed, binding)

    def _binding(self, workspace_id: uuid.UUID) -> str:
        return hashlib.blake2b((workspace_id.hex + self.shape).encode(), digest_size=12).hexdigest()
