"""The change feed of one workspace in the database. Rows are only ever added, by `sync`."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.keyset import KeysetOrder, PageRequest
from partner_connector.db.models import Change
from partner_connector.features.changes.schemas import ChangeView
from partner_connector.web.rows import WireRow

_CHANGE = Change.__table__.c
_IN_ORDER = KeysetOrder([_CHANGE.sequence])
_WIRE = WireRow(ChangeView, Change.__table__)


@dataclass(frozen=True, slots=True)
class ChangeFilter:
    """What the feed is narrowed to. Several kinds mean “or”."""

    after: int = 0
    kind: Sequence[str] = ()
    partner_id: uuid.UUID | None = None

    def apply(self, query: Select[Any]) -> Select[Any]:
        """Narrow the query."""
        query = query.where(_CHANGE.sequence > self.after)
        if self.kind:
            query = query.where(_CHANGE.kind.in_(self.kind))
        if self.partner_id is not None:
            query = query.where(_CHANGE.partner_id == self.partner_id)
        return query


class ChangeRepository:
    """Bound to its workspace when it is made."""

    def __init__(self, session: AsyncSession, workspace_id: uuid.UUID) -> None:
        self.session = session
        self.workspace_id = workspace_id

    async def page(
        self, page: PageRequest, only: ChangeFilter
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Oldest first, the order in which they happened; as the wire has them."""
        listed = select(*_WIRE.columns).where(_CHANGE.workspace_id == self.workspace_id)
        query = only.apply(listed)
        rows, cursor = await page.fetch(self.session, self.workspace_id, query, _IN_ORDER)
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
