"""Audit events of one workspace in the database."""

import uuid

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.models import AuditEvent
from partner_connector.pagination import KeysetOrder, PageRequest

_NEWEST_FIRST = KeysetOrder([AuditEvent.__table__.c.id], descending=True)


class AuditEventRepository:
    """Bound to its workspace when it is made."""

    def __init__(self, session: AsyncSession, workspace_id: uuid.UUID) -> None:
        self.session = session
        self.workspace_id = workspace_id

    async def page(self, page: PageRequest) -> tuple[list[AuditEvent], str | None]:
        """Newest first."""
        query = select(AuditEvent).where(AuditEvent.workspace_id == self.workspace_id)
        rows, cursor = await page.fetch(self.session, self.workspace_id, query, _NEWEST_FIRST)
        return [row[0] for row in rows], cursor
