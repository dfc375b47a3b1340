"""The change feed of one workspace in the database. Rows are only ever added, by `sync`."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.models import Change
from partner_connector.pagination import KeysetOrder, PageRequest

_IN_ORDER = KeysetOrder([Change.__table__.c.sequence])


@dataclass(frozen=True, slots=True)
class ChangeFilter:
    """What the feed is narrowed to. Several kinds mean “or”."""

    after: int = 0
    kind: Sequence[str] = ()
    partner_id: uuid.UUID | None = None

    def apply(self, query: Select[Any]) -> Select[Any]:
        """Narrow the query."""
        query = query.where(Change.sequence > self.after)
        if self.kind:
            query = query.where(Change.kind.in_(self.kind))
        if self.partner_id is not None:
            query = query.where(Change.partner_id == self.partner_id)
        return query


class ChangeRepository:
    """Bound to its workspace when it is made."""

    def __init__(self, session: AsyncSession, workspace_id: uuid.UUID) -> None:
        self.session = session
        self.workspace_id = workspace_id

    async def page(self, page: PageRequest, only: ChangeFilter) -> tuple[list[Change], str | None]:
        """Oldest first: the order in which they happened."""
        query = only.apply(select(Change).where(Change.workspace_id == self.workspace_id))
        rows, cursor = await page.fetch(self.session, self.workspace_id, query, _IN_ORDER)
        return [row[0] for row in rows], cursor

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
