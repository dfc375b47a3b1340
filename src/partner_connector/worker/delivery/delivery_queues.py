"""Delivery queues: leasing the deliveries of a queue in order, and recording their outcomes.

The deliveries of one endpoint and subject form a queue. A worker leases the first delivery of a
queue, and continues with the next one after the message has arrived. No transaction is open while a
message is being sent. If a worker is killed, its lease expires.
"""

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Subquery, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.clock import now
from partner_connector.db.engine import Database
from partner_connector.db.locks import lock_delivery, lock_webhook_endpoint
from partner_connector.db.models import WebhookDelivery, WebhookEndpoint
from partner_connector.db.models.webhook_delivery import is_first_in, queues_with_pending
from partner_connector.telemetry import metrics
from partner_connector.worker.delivery.retry_schedule import MAX_RETRY_AFTER, next_attempt
from partner_connector.worker.delivery.sender import ATTEMPT_TIMEOUT_SECONDS, Outcome

# Longer than an attempt can last.
LEASE = timedelta(seconds=2 * ATTEMPT_TIMEOUT_SECONDS)
# Limits for each worker, so that one slow server or one large customer does not delay the others.
QUEUES_PER_ENDPOINT = 4
QUEUES_PER_WORKSPACE = 16

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class LeasedDelivery:
    """Delivery that this worker has leased."""

    delivery_id: uuid.UUID
    workspace_id: uuid.UUID
    endpoint_id: uuid.UUID
    subject_id: uuid.UUID
    leased_until: datetime

    def named(self) -> dict[str, str]:
        """Return the ids for logs and traces."""
        return {
            "workspace_id": str(self.workspace_id),
            "endpoint_id": str(self.endpoint_id),
            "delivery_id": str(self.delivery_id),
        }


@dataclass(frozen=True, slots=True)
class DueDelivery:
    """First delivery of a queue, due now."""

    delivery_id: uuid.UUID
    workspace_id: uuid.UUID
    endpoint_id: uuid.UUID


async def due_queues(
    database: Database, at: datetime, busy: Collection[uuid.UUID], limit: int
) -> list[DueDelivery]:
    """Return the first deliveries of at most `limit` due queues, longest waiting first.

    The limits for each endpoint and workspace hold. `busy` lists endpoints and workspaces that have
    reached their limit in this worker.
    """
    queues = queues_with_pending()
    due = (
        select(
            WebhookDelivery.id,
            WebhookDelivery.workspace_id,
            WebhookDelivery.endpoint_id,
            WebhookDelivery.next_attempt_at,
        )
        .join(queues, is_first_in(queues))
        .join(WebhookEndpoint, WebhookEndpoint.id == WebhookDelivery.endpoint_id)
        .where(WebhookDelivery.next_attempt_at <= at)
        .where(or_(WebhookDelivery.leased_until.is_(None), WebhookDelivery.leased_until <= now()))
        .where(WebhookEndpoint.status == "enabled")
        .where(or_(WebhookEndpoint.resume_at.is_(None), WebhookEndpoint.resume_at <= at))
        .where(WebhookDelivery.endpoint_id.not_in(busy), WebhookDelivery.workspace_id.not_in(busy))
    )
    fair = _first_of_each(
        _first_of_each(due.subquery(), "endpoint_id", QUEUES_PER_ENDPOINT),
        "workspace_id",
        QUEUES_PER_WORKSPACE,
    )
    query = (
        select(fair.c.id, fair.c.workspace_id, fair.c.endpoint_id)
        .order_by(fair.c.next_attempt_at, fair.c.id)
        .limit(limit)
    )
    async with database.reading() as session:
        return [DueDelivery(*row) for row in await session.execute(query)]


def _first_of_each(due: Subquery, owner: str, number: int) -> Subquery:
    """Select the `number` longest waiting rows of each owner."""
    rank_column = func.row_number().over(
        partition_by=due.c[owner], order_by=(due.c.next_attempt_at, due.c.id)
    )
    ranked = select(due, rank_column.label(f"turn_of_{owner}")).subquery()
    return select(ranked).where(ranked.c[f"turn_of_{owner}"] <= number).subquery()


async def take(database: Database, delivery_id: uuid.UUID) -> LeasedDelivery | None:
    """Lease the delivery. Return None if another worker has already leased it."""
    async with database.writing() as session:
        return await _lease(session, delivery_id)


async def record_outcome(
    database: Database, leased: LeasedDelivery, outcome: Outcome, at: datetime
) -> LeasedDelivery | None:
    """Record the outcome. Return the next delivery of the queue, leased, if it may be sent now."""
    async with database.writing() as session:
        endpoint = await lock_webhook_endpoint(session, leased.endpoint_id, key_share=True)
        delivery = await lock_delivery(session, leased.delivery_id)
        if endpoint is None or delivery is None or delivery.leased_until != leased.leased_until:
            # Deleted, or the lease expired and another worker records the outcome.
            return None
        delivery.leased_until = None
        delivery.last_attempt_at = now()
        delivery.last_status_code = outcome.status_code
        delivery.last_error = outcome.error
        # A redelivery requested meanwhile has set `attempts` to 0: its full schedule lies ahead.
        delivery.attempts += 1
        if outcome.arrived:
            delivery.status = "delivered"
            delivery.delivered_at = now()
        else:
            _schedule_retry(endpoint, delivery, outcome, at)
        await session.flush()
        goes_on = outcome.arrived and _may_be_sent_to(endpoint, at)
        following = await _lease_next(session, leased, at) if goes_on else None
    if delivery.status == "dead_lettered":
        metrics.WEBHOOKS_DEAD_LETTERED.inc()
        log.warning("webhook_dead_lettered", attempts=delivery.attempts)
    return following


async def release_lease(database: Database, leased: LeasedDelivery) -> None:
    """End the lease without an outcome, so that another worker can take the delivery at once."""
    async with database.writing() as session:
        await session.execute(
            update(WebhookDelivery)
            .where(WebhookDelivery.id == leased.delivery_id)
            .where(WebhookDelivery.leased_until == leased.leased_until)
            .values(leased_until=None)
        )


def _may_be_sent_to(endpoint: WebhookEndpoint, at: datetime) -> bool:
    asked_for_time = endpoint.resume_at is not None and endpoint.resume_at > at
    return endpoint.status == "enabled" and not asked_for_time


def _schedule_retry(
    endpoint: WebhookEndpoint, delivery: WebhookDelivery, outcome: Outcome, at: datetime
) -> None:
    retry_at = next_attempt(delivery.attempts, delivery.queued_at, at, outcome.retry_after)
    if outcome.retry_after is not None:
        # `Retry-After` applies to all messages for this server.
        asked = at + min(outcome.retry_after, MAX_RETRY_AFTER)
        endpoint.resume_at = max(asked, endpoint.resume_at or asked)
    if outcome.gone:
        endpoint.status, endpoint.disabled_reason = "disabled", "gone"
        endpoint.updated_at = now()
        log.warning("webhook_endpoint_gone")
    if outcome.gone or retry_at is None:
        delivery.status = "dead_lettered"
    else:
        delivery.next_attempt_at = retry_at


async def _lease_next(
    session: AsyncSession, leased: LeasedDelivery, at: datetime
) -> LeasedDelivery | None:
    following = await session.scalar(
        select(WebhookDelivery)
        .where(WebhookDelivery.endpoint_id == leased.endpoint_id)
        .where(WebhookDelivery.subject_id == leased.subject_id)
        .where(WebhookDelivery.status == "pending")
        .order_by(WebhookDelivery.sequence)
        .limit(1)
    )
    if following is None or following.next_attempt_at > max(at, now()):
        return None
    return await _lease(session, following.id)


async def _lease(session: AsyncSession, delivery_id: uuid.UUID) -> LeasedDelivery | None:
    until = now() + LEASE
    leased = (
        update(WebhookDelivery)
        .where(WebhookDelivery.id == delivery_id, WebhookDelivery.status == "pending")
        .where(or_(WebhookDelivery.leased_until.is_(None), WebhookDelivery.leased_until <= now()))
        .values(leased_until=until)
        .returning(
            WebhookDelivery.id,
            WebhookDelivery.workspace_id,
            WebhookDelivery.endpoint_id,
            WebhookDelivery.subject_id,
        )
    )
    row = (await session.execute(leased)).one_or_none()
    return None if row is None else LeasedDelivery(*row, until)
