"""Changes of webhook endpoints, test messages and redeliveries."""

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
from partner_connector.features.webhooks.signing_secrets import create_signing_secret
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
    """Create an endpoint. Return the endpoint and its secret in plain text.

    The secret is stored encrypted: only a worker can decrypt it.

    Raises `TooManyEndpoints`.
    """
    endpoint = WebhookEndpoint(
        workspace_id=audit.workspace_id,
        url=url,
        event_types=sorted(set(event_types)),
        description=description,
    )
    await WebhookRepository(session, audit.workspace_id).add(endpoint)
    secret = await create_signing_secret(session, keyring, endpoint)
    await _record(session, audit, "webhook_endpoint.created", endpoint)
    return endpoint, secret


async def change(
    session: AsyncSession, audit: Recorder, endpoint: WebhookEndpoint, changes: dict[str, Any]
) -> None:
    """Change a locked endpoint. Its pending deliveries continue when it is enabled again."""
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
    """Delete the endpoint with its secrets and deliveries."""
    await session.delete(endpoint)
    await session.flush()
    await _record(session, audit, "webhook_endpoint.deleted", endpoint)


async def rotate_secret(
    session: AsyncSession, audit: Recorder, keyring: PublicKeyring, endpoint: WebhookEndpoint
) -> str:
    """Create a new secret for a locked endpoint. The previous secret also signs for 24 hours."""
    secret = await create_signing_secret(session, keyring, endpoint)
    await _record(session, audit, "webhook_endpoint.secret_rotated", endpoint)
    return secret


async def send_test(
    session: AsyncSession, endpoint: WebhookEndpoint
) -> tuple[WebhookDelivery, WebhookEvent]:
    """Create a test event for this endpoint only.

    Its sequence is 0: it waits for no other message, and no other message waits for it.
    """
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
    """Queue the delivery for an attempt now, with the same id and all retries."""
    await WebhookRepository(session, audit.workspace_id).requeue(delivery.id)
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
    """Queue the deliveries of a time range that have one of these statuses.

    Return the number of queued deliveries, and the start of the rest of the range or None.
    """
    webhooks = WebhookRepository(session, audit.workspace_id)
    queued, more_since_at = await webhooks.requeue_range(
        endpoint_id, after=after, before=before, statuses=statuses
    )
    until = more_since_at or before
    details = {"after": after.isoformat(), "before": until.isoformat(), "deliveries": queued}
    subject = encode("whk", endpoint_id)
    await audit.record(
        session, action="webhook_endpoint.redelivered", subject=subject, details=details
    )
    return queued, more_since_at


async def _record(
    session: AsyncSession, audit: Recorder, action: str, endpoint: WebhookEndpoint
) -> None:
    # Record the host only, since the path of the URL may contain a secret of the customer.
    details = {
        "host": host_of(endpoint.url),
        "event_types": endpoint.event_types,
        "status": endpoint.status,
    }
    await audit.record(session, action=action, subject=encode("whk", endpoint.id), details=details)
