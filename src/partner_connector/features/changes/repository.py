"""Change feed of one workspace in the database. `worker.sync` adds rows; none is changed."""

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

# Condition of each filter, by its name.
_CONDITIONS: dict[str, ColumnElement[bool]] = {
    "after": _CHANGE.sequence > bindparam("after"),
    "kind": _CHANGE.kind.in_(bindparam("kind", expanding=True)),
    "partner_id": _CHANGE.partner_id == bindparam("partner_id"),
}


class ChangeFilter(BaseModel):
    """Query parameters that filter the change feed."""

    after: Int64 = Field(
        default=0,
        ge=0,
        description="The last `sequence` that you have processed. Later changes are returned.",
        examples=[1041],
    )
    kind: list[ChangeKind] | None = Field(
        default=None, max_length=14, description="Repeat to match any of several values."
    )
    partner_id: PartnerId | None = Field(
        default=None, description="Return only changes of this partner."
    )

    def values(self) -> dict[str, Any]:
        """Return the given filters as bound parameters of the statement."""
        return {name: value for name in _CONDITIONS if (value := getattr(self, name))}


@lru_cache
def _listed(given: tuple[str, ...]) -> Select[*tuple[Any, ...]]:
    query = select(*_WIRE.columns).where(_CHANGE.workspace_id == bindparam("workspace_id"))
    return query.where(*(_CONDITIONS[name] for name in given))


class ChangeRepository:
    """Reads changes of the workspace that it is created for."""

    def __init__(self, session: AsyncSession, workspace_id: uuid.UUID) -> None:
        self.session = session
        self.workspace_id = workspace_id

    async def page(
        self, page: PageRequest, filters: ChangeFilter
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Return a page of changes as JSON-ready dictionaries, oldest first, and its cursor."""
        given = filters.values()
        query = _listed(tuple(given))
        rows, cursor = await page.fetch(self.session, self.workspace_id, query, _IN_ORDER, given)
        return [_WIRE.item(row) for row in rows], cursor

    async def latest_of_user(self, partner_user_id: uuid.UUID, *, limit: int) -> list[Change]:
        """Return the last changes of one partner user, newest first."""
        query = (
            select(Change)
            .where(Change.workspace_id == self.workspace_id)
            .where(Change.partner_user_id == partner_user_id)
            .order_by(Change.sequence.desc())
            .limit(limit)
        )
        return list(await self.session.scalars(query))
