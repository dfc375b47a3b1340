"""Deciding who is told, and having a message sent again."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.clock import now
from partner_connector.db.models import WebhookDelivery, WebhookEndpoint, WebhookEvent
from partner_connector.features.audit.service import Recorder
from partner_connector.features.webhooks.addresses import host_of
from partner_connector.features.webhooks.event_types import TEST
from partner_connector.features.webhooks.repository import WebhookRepository
from partner_connector.features.webhooks.signing_secrets import renew
from partner_connector.ids import encode, new_id
from partner_connector.sealing.public import PublicKeyring


async def create(
    session: AsyncSession,
    audit: Recorder,
    keyring: PublicKeyring,
    *,
    url: str,
    event_types: list[str],
    description: str | None,
) -> tuple[WebhookEndpoint, str]:
    """A new endpoint and its secret, which only a worker can read afterwards.

    Raises `TooManyEndpoints`.
    """
    endpoint = WebhookEndpoint(
        workspace_id=audit.workspace_id,
        url=url,
        event_types=sorted(set(event_types)),
        description=description,
    )
    await WebhookRepository(session, audit.workspace_id).add(endpoint)
    secret = await renew(session, keyring, endpoint)
    await _record(session, audit, "webhook_endpoint.created", endpoint)
    return endpoint, secret


async def change(
    session: AsyncSession, audit: Recorder, endpoint: WebhookEndpoint, changes: dict[str, Any]
) -> None:
    """Change a locked endpoint. What was not delivered while it was disabled goes on afterwards."""
    for name, value in changes.items():
        setattr(endpoint, name, value)
    if "event_types" in changes:
        endpoint.event_types = sorted(set(endpoint.event_types))
    if "status" in changes:
        endpoint.disabled_reason = "by_request" if endpoint.status == "disabled" else None
        endpoint.resume_at = None
    endpoint.updated_at = now()
    await session.flush()
    await _record(session, audit, "webhook_endpoint.updated", endpoint)


async def remove(session: AsyncSession, audit: Recorder, endpoint: WebhookEndpoint) -> None:
    """Forget it with its secrets and deliveries."""
    await session.delete(endpoint)
    await session.flush()
    await _record(session, audit, "webhook_endpoint.deleted", endpoint)


async def rotate_secret(
    session: AsyncSession, audit: Recorder, keyring: PublicKeyring, endpoint: WebhookEndpoint
) -> str:
    """A new secret for a locked endpoint; both sign for a day."""
    secret = await renew(session, keyring, endpoint)
    await _record(session, audit, "webhook_endpoint.secret_rotated", endpoint)
    return secret


async def send_test(
    session: AsyncSession, endpoint: WebhookEndpoint
) -> tuple[WebhookDelivery, WebhookEvent]:
    """A message to this endpoint alone, which waits for no other and keeps none waiting."""
    event = WebhookEvent(
        workspace_id=endpoint.workspace_id,
        type=TEST,
        occurred_at=now(),
        subject_id=new_id(),
        states={"endpoint_id": encode("whk", endpoint.id)},
        sequence=0,
        message_id=new_id(),
    )
    session.add(event)
    await session.flush()
    delivery = WebhookDelivery(
        workspace_id=endpoint.workspace_id,
        endpoint_id=endpoint.id,
        event_id=event.id,
        subject_id=event.subject_id,
        sequence=0,
    )
    session.add(delivery)
    await session.flush()
    return delivery, event


async def redeliver(session: AsyncSession, audit: Recorder, delivery: WebhookDelivery) -> None:
    """Send it now, whatever became of it before: with the same id, and tried as often as anew."""
    await WebhookRepository(session, audit.workspace_id).queue_again(delivery.id)
    await session.refresh(delivery)
    subject = encode("dlv", delivery.id)
    await audit.record(session, action="webhook_delivery.redelivered", subject=subject, details={})


async def redeliver_range(
    session: AsyncSession,
    audit: Recorder,
    endpoint_id: uuid.UUID,
    *,
    after: datetime,
    before: datetime,
    statuses: list[str],
) -> tuple[int, datetime | None]:
    """The same with those that were made in a time and have ended. Answers how many, and from when
    on there are more.
    """
    webhooks = WebhookRepository(session, audit.workspace_id)
    queued, more_since_at = await webhooks.queue_range_again(
        endpoint_id, after=after, before=before, statuses=statuses
    )
    until = more_since_at or before
    told = {"after": after.isoformat(), "before": until.isoformat(), "deliveries": queued}
    subject = encode("whk", endpoint_id)
    await audit.record(
        session, action="webhook_endpoint.redelivered", subject=subject, details=told
    )
    return queued, more_since_at


async def _record(
    session: AsyncSession, audit: Recorder, action: str, endpoint: WebhookEndpoint
) -> None:
    # Not the whole URL: customers put secrets of their own into its path.
    told = {
        "host": host_of(endpoint.url),
        "event_types": endpoint.event_types,
        "status": endpoint.status,
    }
    await audit.record(session, action=action, subject=encode("whk", endpoint.id), details=told)
