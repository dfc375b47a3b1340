"""Endpoints and deliveries of one workspace in the database."""

import uuid
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Row, Select, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.clock import now
from partner_connector.errors import found
from partner_connector.models import WebhookDelivery, WebhookEndpoint, WebhookEvent
from partner_connector.pagination import KeysetOrder, PageRequest


class WebhookRepository:
    """Bound to its workspace when it is made."""

    def __init__(self, session: AsyncSession, workspace_id: uuid.UUID) -> None:
        self.session = session
        self.workspace_id = workspace_id

    async def add(self, endpoint: WebhookEndpoint) -> None:
        """Store a new endpoint."""
        self.session.add(endpoint)
        await self.session.flush()

    async def get(self, endpoint_id: uuid.UUID, *, lock: bool = False) -> WebhookEndpoint:
        """One endpoint; with `lock` its row stays locked until the end. Raises `NotFound`."""
        query = select(WebhookEndpoint).where(
            WebhookEndpoint.workspace_id == self.workspace_id, WebhookEndpoint.id == endpoint_id
        )
        return found(await self.session.scalar(query.with_for_update() if lock else query))

    async def page(self, page: PageRequest) -> tuple[list[WebhookEndpoint], str | None]:
        """Endpoints, newest first."""
        query = select(WebhookEndpoint).where(WebhookEndpoint.workspace_id == self.workspace_id)
        order = KeysetOrder([WebhookEndpoint.__table__.c.id], descending=True)
        rows, cursor = await page.fetch(self.session, self.workspace_id, query, order)
        return [row[0] for row in rows], cursor

    async def delivery(self, delivery_id: uuid.UUID) -> tuple[WebhookDelivery, WebhookEvent]:
        """One delivery and what it delivers. Raises `NotFound`."""
        query = self._deliveries().where(WebhookDelivery.id == delivery_id)
        row: Row[WebhookDelivery, WebhookEvent] = found(
            (await self.session.execute(query)).one_or_none()
        )
        return row[0], row[1]

    async def deliveries(
        self, page: PageRequest, endpoint_id: uuid.UUID, status: str | None
    ) -> tuple[list[tuple[WebhookDelivery, WebhookEvent]], str | None]:
        """Deliveries to one endpoint, newest first."""
        query = self._deliveries().where(WebhookDelivery.endpoint_id == endpoint_id)
        if status is not None:
            query = query.where(WebhookDelivery.status == status)
        order = KeysetOrder([WebhookDelivery.__table__.c.id], descending=True)
        rows, cursor = await page.fetch(self.session, self.workspace_id, query, order)
        return [(row[0], row[1]) for row in rows], cursor

    async def queue_again(self, delivery_id: uuid.UUID) -> None:
        """Have this delivery tried now, with its whole schedule before it."""
        await self.session.execute(
            update(WebhookDelivery)
            .where(WebhookDelivery.workspace_id == self.workspace_id)
            .where(WebhookDelivery.id == delivery_id)
            .values(**_anew())
        )

    async def queue_range_again(
        self, endpoint_id: uuid.UUID, *, after: datetime, before: datetime, statuses: Sequence[str]
    ) -> int:
        """The same with all of this endpoint's that were made then and have ended so."""
        queued = await self.session.execute(
            update(WebhookDelivery)
            .where(WebhookDelivery.workspace_id == self.workspace_id)
            .where(WebhookDelivery.endpoint_id == endpoint_id)
            .where(WebhookDelivery.created_at >= after, WebhookDelivery.created_at < before)
            .where(WebhookDelivery.status.in_(statuses))
            .values(**_anew())
            .execution_options(synchronize_session=False)
        )
        return int(queued.rowcount)  # type: ignore[attr-defined] # an UPDATE's result has it

    def _deliveries(self) -> Select[WebhookDelivery, WebhookEvent]:
        return (
            select(WebhookDelivery, WebhookEvent)
            .join(WebhookEvent, WebhookEvent.id == WebhookDelivery.event_id)
            .where(WebhookDelivery.workspace_id == self.workspace_id)
        )


def _anew() -> dict[str, object]:
    at = now()
    return {
        "status": "pending",
        "attempts": 0,
        "queued_at": at,
        "next_attempt_at": at,
        "delivered_at": None,
    }
