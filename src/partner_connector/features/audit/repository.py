"""Audit events of one workspace in the database."""

import uuid
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.keyset import KeysetOrder, PageRequest
from partner_connector.db.models import AuditEvent
from partner_connector.features.audit.schemas import AuditEventView
from partner_connector.web.rows import WireRow

_EVENT = AuditEvent.__table__.c
_NEWEST_FIRST = KeysetOrder([_EVENT.id], descending=True)
_WIRE = WireRow(AuditEventView, AuditEvent.__table__)
_LISTED = select(*_WIRE.columns).where(_EVENT.workspace_id == bindparam("workspace_id"))


class AuditEventRepository:
    """Access to the audit events of one workspace."""

    def __init__(self, session: AsyncSession, workspace_id: uuid.UUID) -> None:
        self.session = session
        self.workspace_id = workspace_id

    async def page(self, page: PageRequest) -> tuple[list[dict[str, Any]], str | None]:
        """Return one page of items as the API shows them, newest first, and the next cursor."""
        rows, cursor = await page.fetch(self.session, self.workspace_id, _LISTED, _NEWEST_FIRST)
        return [_WIRE.item(row) for row in rows], cursor
