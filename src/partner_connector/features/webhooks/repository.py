"""Queries for the webhook endpoints and deliveries of one workspace."""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Select, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.clock import now
from partner_connector.db.keyset import KeysetOrder, PageRequest
from partner_connector.db.locks import lock_webhook_endpoint, lock_workspace
from partner_connector.db.models import WebhookDelivery, WebhookEndpoint, WebhookEvent
from partner_connector.errors import Conflict, found

# Each event is checked against every endpoint, and each endpoint has its own delivery queues.
MAX_ENDPOINTS = 20
# A larger transaction would block other writers for too long.
MAX_REDELIVERIES = 10_000


class TooManyEndpoints(Conflict):
    """A new endpoint would exceed the limit of the workspace."""

    code = "webhook_endpoint_limit"
    title = "The workspace has the most webhook endpoints that are allowed"
    description = (
        f"A workspace can have {MAX_ENDPOINTS} webhook endpoints, disabled endpoints included. "
        "Delete an endpoint, or subscribe an existing endpoint to more event types."
    )


class WebhookRepository:
    """Queries that see the endpoints and deliveries of one workspace only."""

    def __init__(self, session: AsyncSession, workspace_id: uuid.UUID) -> None:
        self.session = session
        self.workspace_id = workspace_id

    async def add(self, endpoint: WebhookEndpoint) -> None:
        """Store a new endpoint. Raises `TooManyEndpoints`."""
        # The lock makes the second of two concurrent requests count the endpoint of the first
        # request. It does not block writes of other rows that refer to the workspace.
        await lock_workspace(self.session, self.workspace_id, key_share=True)
        in_workspace = WebhookEndpoint.workspace_id == self.workspace_id
        number = await self.session.scalar(
            select(func.count(WebhookEndpoint.id)).where(in_workspace)
        )
        if (number or 0) >= MAX_ENDPOINTS:
            raise TooManyEndpoints
        self.session.add(endpoint)
        await self.session.flush()

    async def get(self, endpoint_id: uuid.UUID) -> WebhookEndpoint:
        """Return one endpoint. Raises `NotFound`."""
        query = select(WebhookEndpoint).where(
            WebhookEndpoint.workspace_id == self.workspace_id, WebhookEndpoint.id == endpoint_id
        )
        return found(await self.session.scalar(query))

    async def lock(self, endpoint_id: uuid.UUID) -> WebhookEndpoint:
        """Lock and return one endpoint. Raises `NotFound`."""
        in_workspace = WebhookEndpoint.workspace_id == self.workspace_id
        return found(await lock_webhook_endpoint(self.session, endpoint_id, in_workspace))

    async def page(self, page: PageRequest) -> tuple[list[WebhookEndpoint], str | None]:
        """Return a page of endpoints, newest first."""
        query = select(WebhookEndpoint).where(WebhookEndpoint.workspace_id == self.workspace_id)
        order = KeysetOrder([WebhookEndpoint.__table__.c.id], descending=True)
        rows, cursor = await page.fetch(self.session, self.workspace_id, query, order)
        return [row[0] for row in rows], cursor

    async def delivery(self, delivery_id: uuid.UUID) -> tuple[WebhookDelivery, WebhookEvent]:
        """Return one delivery and its event. Raises `NotFound`."""
        query = self._deliveries().where(WebhookDelivery.id == delivery_id)
        delivery, event = found((await self.session.execute(query)).one_or_none())
        return delivery, event

    async def deliveries(
        self, page: PageRequest, endpoint_id: uuid.UUID, status: str | None
    ) -> tuple[list[tuple[WebhookDelivery, WebhookEvent]], str | None]:
        """Return a page of deliveries to one endpoint, newest first."""
        query = self._deliveries().where(WebhookDelivery.endpoint_id == endpoint_id)
        if status is not None:
            query = query.where(WebhookDelivery.status == status)
        order = KeysetOrder([WebhookDelivery.__table__.c.id], descending=True)
        rows, cursor = await page.fetch(self.session, self.workspace_id, query, order)
        return [(row[0], row[1]) for row in rows], cursor

    async def requeue(self, delivery_id: uuid.UUID) -> None:
        """Make the delivery due now, with all retries."""
        await self.session.execute(
            update(WebhookDelivery)
            .where(WebhookDelivery.workspace_id == self.workspace_id)
            .where(WebhookDelivery.id == delivery_id)
            .values(**_due_now())
        )

    async def requeue_range(
        self, endpoint_id: uuid.UUID, *, after: datetime, before: datetime, statuses: Sequence[str]
    ) -> tuple[int, datetime | None]:
        """Make the deliveries of a time range that have one of these statuses due now.

        At most about `MAX_REDELIVERIES` are changed, the oldest first. Return their number, and the
        start of the rest of the range or None.
        """
        ended = (
            WebhookDelivery.workspace_id == self.workspace_id,
            WebhookDelivery.endpoint_id == endpoint_id,
            WebhookDelivery.created_at >= after,
            WebhookDelivery.status.in_(statuses),
        )
        rest_starts_at = await self.session.scalar(
            select(WebhookDelivery.created_at)
            .where(*ended, WebhookDelivery.created_at < before)
            .order_by(WebhookDelivery.created_at)
            .offset(MAX_REDELIVERIES)
            .limit(1)
        )
        until = before if rest_starts_at is None else min(_next_millisecond(rest_starts_at), before)
        queued = await self.session.execute(
            update(WebhookDelivery)
            .where(*ended, WebhookDelivery.created_at < until)
            .values(**_due_now())
        )
        number = int(queued.rowcount)  # type: ignore[attr-defined] # an UPDATE's result has it
        return number, until if until < before else None

    def _deliveries(self) -> Select[WebhookDelivery, WebhookEvent]:
        return (
            select(WebhookDelivery, WebhookEvent)
            .join(WebhookEvent, WebhookEvent.id == WebhookDelivery.event_id)
            .where(WebhookDelivery.workspace_id == self.workspace_id)
        )


def _next_millisecond(at: datetime) -> datetime:
    """Return the next full millisecond, the smallest unit of a time in the API."""
    return at.replace(microsecond=at.microsecond // 1000 * 1000) + timedelta(milliseconds=1)


def _due_now() -> dict[str, object]:
    at = now()
    return {
        "status": "pending",
        "attempts": 0,
        "queued_at": at,
        "next_attempt_at": at,
        "delivered_at": None,
    }
