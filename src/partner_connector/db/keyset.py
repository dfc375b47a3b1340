"""Keyset pagination: a page starts after the last row of the page before, at any depth.

A cursor is encrypted, so that clients can neither read nor change it. It is bound to the workspace,
the filters and the sort order for which it was made.
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
    """Total order of a list: columns without nulls, the last one unique, all in one direction."""

    def __init__(self, columns: Sequence[ColumnElement[Any]], *, descending: bool = False) -> None:
        self.columns = columns
        self.descending = descending
        self.direction = [each.desc() if descending else each.asc() for each in columns]
        # Raw driver values: they are converted for the last row of a page only.
        self.keys = [
            type_coerce(column, NullType()).label(f"key_{place}")
            for place, column in enumerate(columns)
        ]


@lru_cache
def _page_of(
    query: Select[*tuple[Any, ...]], order: KeysetOrder, *, continued: bool
) -> Select[*tuple[Any, ...]]:
    """Return the statement of one page. Its parameters are `rows_wanted` and, if `continued`,
    `after_0`, `after_1` …

    Cached per query object, which the caller must keep: SQLAlchemy then finds the compiled form
    quickly.
    """
    if continued:
        position = tuple_(*order.columns)
        start = tuple_(
            *(
                bindparam(f"after_{place}", type_=column.type)
                for place, column in enumerate(order.columns)
            )
        )
        query = query.where(position < start if order.descending else position > start)
    keyed = query.add_columns(*order.keys).order_by(*order.direction)
    return keyed.limit(bindparam("rows_wanted", type_=Integer()))


class CursorCodec:
    """Encryption of cursors with a secret key of the service."""

    def __init__(self, key: bytes) -> None:
        self._box = SecretBox(key)

    def encode(self, position: Sequence[Any], binding: str) -> str:
        """Return the cursor of a position; `decode` needs the same binding."""
        values = [_to_json(value) for value in position]
        sealed = self._box.encrypt(json.dumps([binding, values], ensure_ascii=False).encode())
        return base64.urlsafe_b64encode(bytes(sealed)).rstrip(b"=").decode()

    def decode(self, cursor: str, binding: str) -> list[Any]:
        """Return a cursor's position.

        Raise `CursorInvalid` for a text that `encode` did not make, or made for another binding.
        """
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
    """Request for one page: size in rows, cursor, and the list for which the cursor is valid."""

    size: int
    cursor: str | None
    codec: CursorCodec
    shape: str
    """Path and filters of the list."""

    async def fetch(
        self,
        session: AsyncSession,
        workspace_id: uuid.UUID,
        query: Select[*tuple[Any, ...]],
        order: KeysetOrder,
        values: Mapping[str, Any] = MappingProxyType({}),
    ) -> tuple[list[Any], str | None]:
        """Return the rows of this page and the cursor of the next, None after the last page.

        One row more than the page is read, to know whether there is a next page. `values` are the
        query's own parameters; `workspace_id` is added. The columns of the order are the last ones
        of each row. Raise `CursorInvalid`.
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
