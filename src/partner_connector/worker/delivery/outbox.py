"""Fan-out of events from the outbox to a delivery for each subscribed endpoint.

Code that writes events takes no lock for their order. An event gets its sequence number after its
commit, so an event that happened later also has a higher number. Events that happened at the same
time have no fixed order.
"""

import uuid
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.engine import Database
from partner_connector.db.locks import lock_webhook_feed
from partner_connector.db.models import WebhookDelivery, WebhookEndpoint, WebhookEvent, WebhookFeed
from partner_connector.db.sql import upsert
from partner_connector.ids import new_id

_BATCH_SIZE = 500
_WORKSPACE_BATCH_SIZE = 100


async def fan_out(database: Database, at: datetime) -> bool:
    """Number and fan out waiting events, a batch for each workspace; they are due from `at` on.

    Return whether more events wait. The caller starts deliveries before the next batch.
    """
    waiting = select(WebhookEvent.workspace_id).where(WebhookEvent.sequence.is_(None)).distinct()
    async with database.reading() as session:
        workspaces = (await session.scalars(waiting.limit(_WORKSPACE_BATCH_SIZE))).all()
    numbers = [await _fan_out_workspace(database, workspace_id, at) for workspace_id in workspaces]
    return len(workspaces) == _WORKSPACE_BATCH_SIZE or any(
        number == _BATCH_SIZE for number in numbers
    )


async def _fan_out_workspace(database: Database, workspace_id: uuid.UUID, at: datetime) -> int:
    async with database.writing() as session:
        feed = await _lock_feed(session, workspace_id)
        if feed is None:
            # Another worker is fanning out this workspace.
            return 0
        query = (
            select(WebhookEvent.id, WebhookEvent.type, WebhookEvent.subject_id)
            .where(WebhookEvent.workspace_id == workspace_id, WebhookEvent.sequence.is_(None))
            .order_by(WebhookEvent.id)
            .limit(_BATCH_SIZE)
        )
        events = (await session.execute(query)).all()
        if not events:
            return 0
        first = feed.last_sequence + 1
        feed.last_sequence += len(events)
        places = [
            {"id": event.id, "sequence": sequence, "message_id": new_id()}
            for sequence, event in enumerate(events, first)
        ]
        await session.execute(update(WebhookEvent), places)
        await _add_deliveries(session, workspace_id, events, first, at)
        return len(events)


async def _add_deliveries(
    session: AsyncSession,
    workspace_id: uuid.UUID,
    events: Sequence[Row[int, str, uuid.UUID]],
    first: int,
    at: datetime,
) -> None:
    enabled = select(WebhookEndpoint.id, WebhookEndpoint.event_types).where(
        WebhookEndpoint.workspace_id == workspace_id, WebhookEndpoint.status == "enabled"
    )
    deliveries = [
        {
            "workspace_id": workspace_id,
            "endpoint_id": endpoint.id,
            "event_id": event.id,
            "subject_id": event.subject_id,
            "sequence": sequence,
            "queued_at": at,
            "next_attempt_at": at,
        }
        for endpoint in await session.execute(enabled)
        for sequence, event in enumerate(events, first)
        if event.type in endpoint.event_types
    ]
    if deliveries:
        await session.execute(insert(WebhookDelivery), deliveries)


async def _lock_feed(session: AsyncSession, workspace_id: uuid.UUID) -> WebhookFeed | None:
    first = upsert(session, WebhookFeed).values(workspace_id=workspace_id, last_sequence=0)
    await session.execute(first.on_conflict_do_nothing())
    return await lock_webhook_feed(session, workspace_id, skip_locked=True)
