"""From the outbox to deliveries: each event gets its place, and goes to each who wants it.

Those who write events hold no lock for it. An event gets its place once it can be seen, so that
what happened after something else also comes after it; two that happened at once come as they may.
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

_AT_A_TIME = 500
_WORKSPACES_AT_A_TIME = 100


async def spread(database: Database, at: datetime) -> bool:
    """Place events that have no place yet, to be sent from then on, some of each workspace.

    Answers whether there are more: what was placed is not to wait for those.
    """
    waiting = select(WebhookEvent.workspace_id).where(WebhookEvent.sequence.is_(None)).distinct()
    async with database.reading() as session:
        workspaces = (await session.scalars(waiting.limit(_WORKSPACES_AT_A_TIME))).all()
    placed = [await _spread_some(database, workspace_id, at) for workspace_id in workspaces]
    return len(workspaces) == _WORKSPACES_AT_A_TIME or any(one == _AT_A_TIME for one in placed)


async def _spread_some(database: Database, workspace_id: uuid.UUID, at: datetime) -> int:
    async with database.writing() as session:
        feed = await _lock_feed(session, workspace_id)
        if feed is None:
            # Another worker is at it.
            return 0
        query = (
            select(WebhookEvent.id, WebhookEvent.type, WebhookEvent.subject_id)
            .where(WebhookEvent.workspace_id == workspace_id, WebhookEvent.sequence.is_(None))
            .order_by(WebhookEvent.id)
            .limit(_AT_A_TIME)
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
        await _deliver(session, workspace_id, events, first, at)
        return len(events)


async def _deliver(
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
