"""The change feed of one workspace in the database. Rows are only ever added, by `sync`."""

import uuid
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, Field
from sqlalchemy import ColumnElement, Select, bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.keyset import KeysetOrder, PageRequest
from partner_connector.db.models import Change
from partner_connector.features.changes.schemas import ChangeKind, ChangeView
from partner_connector.ids import PartnerId
from partner_connector.web.rows import WireRow
from partner_connector.web.schemas import Int64

_CHANGE = Change.__table__.c
_IN_ORDER = KeysetOrder([_CHANGE.sequence])
_WIRE = WireRow(ChangeView, Change.__table__)

# By the name of the filter.
_NARROWED: dict[str, ColumnElement[bool]] = {
    "after": _CHANGE.sequence > bindparam("after"),
    "kind": _CHANGE.kind.in_(bindparam("kind", expanding=True)),
    "partner_id": _CHANGE.partner_id == bindparam("partner_id"),
}


class ChangeFilter(BaseModel):
    """Query parameters that narrow the feed."""

    after: Int64 = Field(
        default=0,
        ge=0,
        description="The last `sequence` that you have seen: what came later is listed.",
        examples=[1041],
    )
    kind: list[ChangeKind] | None = Field(
        default=None, max_length=14, description="Repeat for “or”."
    )
    partner_id: PartnerId | None = Field(default=None, description="Changes at this partner.")

    def values(self) -> dict[str, Any]:
        """Return the values of the filters that are given."""
        return {name: value for name in _NARROWED if (value := getattr(self, name))}


@lru_cache
def _listed(given: tuple[str, ...]) -> Select[*tuple[Any, ...]]:
    mine = select(*_WIRE.columns).where(_CHANGE.workspace_id == bindparam("workspace_id"))
    return mine.where(*(_NARROWED[name] for name in given))


class ChangeRepository:
    """Bound to its workspace when it is made."""

    def __init__(self, session: AsyncSession, workspace_id: uuid.UUID) -> None:
        self.session = session
        self.workspace_id = workspace_id

    async def page(
        self, page: PageRequest, only: ChangeFilter
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Oldest first, the order in which they happened; as the wire has them."""
        given = only.values()
        query = _listed(tuple(given))
        rows, cursor = await page.fetch(self.session, self.workspace_id, query, _IN_ORDER, given)
        return [_WIRE.item(row) for row in rows], cursor

    async def latest_of_user(self, partner_user_id: uuid.UUID, *, limit: int) -> list[Change]:
        """The last changes of one partner user, newest first."""
        query = (
            select(Change)
            .where(Change.workspace_id == self.workspace_id)
            .where(Change.partner_user_id == partner_user_id)
            .order_by(Change.sequence.desc())
            .limit(limit)
        )
        return list(await self.session.scalars(query))
