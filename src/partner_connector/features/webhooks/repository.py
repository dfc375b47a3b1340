"""Endpoints and deliveries of one workspace in the database."""

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

# Each is asked about at every event, and sent to on its own.
MOST_ENDPOINTS = 20
# More in one transaction would keep everybody else who writes waiting.
REDELIVERED_AT_ONCE = 10_000


class TooManyEndpoints(Conflict):
    """The workspace has as many as it may."""

    code = "webhook_endpoint_limit"
    title = "The workspace has as many webhook endpoints as it may"
    description = (
        f"A workspace has {MOST_ENDPOINTS} webhook endpoints at most, disabled ones included. "
        "Delete one, or have one that you have tell you more types."
    )


class WebhookRepository:
    """Bound to its workspace when it is made."""

    def __init__(self, session: AsyncSession, workspace_id: uuid.UUID) -> None:
        self.session = session
        self.workspace_id = workspace_id

    async def add(self, endpoint: WebhookEndpoint) -> None:
        """Store a new endpoint. Raises `TooManyEndpoints`."""
        # Of two that are made at once the second one counts the first. No more than that has to
        # wait: what belongs to the workspace can be written meanwhile.
        await lock_workspace(self.session, self.workspace_id, key_share=True)
        is_ours = WebhookEndpoint.workspace_id == self.workspace_id
        number = await self.session.scalar(select(func.count(WebhookEndpoint.id)).where(is_ours))
        if (number or 0) >= MOST_ENDPOINTS:
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
        is_ours = WebhookEndpoint.workspace_id == self.workspace_id
        return found(await lock_webhook_endpoint(self.session, endpoint_id, is_ours))

    async def page(self, page: PageRequest) -> tuple[list[WebhookEndpoint], str | None]:
        """Endpoints, newest first."""
        query = select(WebhookEndpoint).where(WebhookEndpoint.workspace_id == self.workspace_id)
        order = KeysetOrder([WebhookEndpoint.__table__.c.id], descending=True)
        rows, cursor = await page.fetch(self.session, self.workspace_id, query, order)
        return [row[0] for row in rows], cursor

    async def delivery(self, delivery_id: uuid.UUID) -> tuple[WebhookDelivery, WebhookEvent]:
        """One delivery and what it delivers. Raises `NotFound`."""
        query = self._deliveries().where(WebhookDelivery.id == delivery_id)
        delivery, event = found((await self.session.execute(query)).one_or_none())
        return delivery, event

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
    ) -> tuple[int, datetime | None]:
        """The same with this endpoint's that were made then and have ended so, the oldest first.

        Answers how many, and where to go on if these were not all of them.
        """
        ended = (
            WebhookDelivery.workspace_id == self.workspace_id,
            WebhookDelivery.endpoint_id == endpoint_id,
            WebhookDelivery.created_at >= after,
            WebhookDelivery.status.in_(statuses),
        )
        first_too_many = await self.session.scalar(
            select(WebhookDelivery.created_at)
            .where(*ended, WebhookDelivery.created_at < before)
            .order_by(WebhookDelivery.created_at)
            .offset(REDELIVERED_AT_ONCE)
            .limit(1)
        )
        until = before if first_too_many is None else min(_next_millisecond(first_too_many), before)
        queued = await self.session.execute(
            update(WebhookDelivery)
            .where(*ended, WebhookDelivery.created_at < until)
            .values(**_anew())
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
    """The wire tells no smaller ones: what was made within this one goes together."""
    return at.replace(microsecond=at.microsecond // 1000 * 1000) + timedelta(milliseconds=1)


def _anew() -> dict[str, object]:
    at = now()
    return {
        "status": "pending",
        "attempts": 0,
        "queued_at": at,
        "next_attempt_at": at,
        "delivered_at": None,
    }
