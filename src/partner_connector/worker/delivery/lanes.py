"""Taking deliveries one after the other, and writing down what came of them.

The deliveries of one endpoint and subject are a lane. A worker that takes the first one of a lane
has a lease on it, and goes on with the next one once it has arrived: no transaction is open while a
message is on its way, and of a worker that is killed the lease runs out.
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
from partner_connector.db.models.webhook_delivery import is_first_of, lanes_with_pending
from partner_connector.telemetry import metrics
from partner_connector.worker.delivery.retry_schedule import LONGEST_WISH, next_attempt
from partner_connector.worker.delivery.sender import PATIENCE_SECONDS, Outcome

# Longer than an attempt can last.
LEASE = timedelta(seconds=2 * PATIENCE_SECONDS)
# One server that is slow does not keep the others waiting, nor do many of one customer.
LANES_OF_AN_ENDPOINT = 4
LANES_OF_A_WORKSPACE = 16

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Taken:
    """A delivery that is this worker's for as long as its lease lasts."""

    delivery_id: uuid.UUID
    workspace_id: uuid.UUID
    endpoint_id: uuid.UUID
    subject_id: uuid.UUID
    leased_until: datetime

    def named(self) -> dict[str, str]:
        """Which one it is, for logs and traces."""
        return {
            "workspace_id": str(self.workspace_id),
            "endpoint_id": str(self.endpoint_id),
            "delivery_id": str(self.delivery_id),
        }


@dataclass(frozen=True, slots=True)
class Due:
    """The first delivery of a lane whose time has come."""

    delivery_id: uuid.UUID
    workspace_id: uuid.UUID
    endpoint_id: uuid.UUID


async def due_lanes(
    database: Database, at: datetime, busy: Collection[uuid.UUID], limit: int
) -> list[Due]:
    """Those that have waited longest, of each endpoint and each workspace no more than it may have.

    `busy` are endpoints and workspaces to which this worker sends as much as it may.
    """
    every = lanes_with_pending()
    due = (
        select(
            WebhookDelivery.id,
            WebhookDelivery.workspace_id,
            WebhookDelivery.endpoint_id,
            WebhookDelivery.next_attempt_at,
        )
        .join(every, is_first_of(every))
        .join(WebhookEndpoint, WebhookEndpoint.id == WebhookDelivery.endpoint_id)
        .where(WebhookDelivery.next_attempt_at <= at)
        .where(or_(WebhookDelivery.leased_until.is_(None), WebhookDelivery.leased_until <= now()))
        .where(WebhookEndpoint.status == "enabled")
        .where(or_(WebhookEndpoint.resume_at.is_(None), WebhookEndpoint.resume_at <= at))
        .where(WebhookDelivery.endpoint_id.not_in(busy), WebhookDelivery.workspace_id.not_in(busy))
    )
    fair = _first_of_each(
        _first_of_each(due.subquery(), "endpoint_id", LANES_OF_AN_ENDPOINT),
        "workspace_id",
        LANES_OF_A_WORKSPACE,
    )
    query = (
        select(fair.c.id, fair.c.workspace_id, fair.c.endpoint_id)
        .order_by(fair.c.next_attempt_at, fair.c.id)
        .limit(limit)
    )
    async with database.reading() as session:
        return [Due(*row) for row in await session.execute(query)]


def _first_of_each(due: Subquery, owner: str, number: int) -> Subquery:
    """So many of each owner, those that have waited longest."""
    turn = func.row_number().over(
        partition_by=due.c[owner], order_by=(due.c.next_attempt_at, due.c.id)
    )
    ranked = select(due, turn.label(f"turn_of_{owner}")).subquery()
    return select(ranked).where(ranked.c[f"turn_of_{owner}"] <= number).subquery()


async def take(database: Database, delivery_id: uuid.UUID) -> Taken | None:
    """Lease it; None where another worker was faster."""
    async with database.writing() as session:
        return await _lease(session, delivery_id)


async def settle(database: Database, taken: Taken, outcome: Outcome, at: datetime) -> Taken | None:
    """Write down what came of it. Answers the next one of its lane, leased, if that may go now."""
    async with database.writing() as session:
        endpoint = await lock_webhook_endpoint(session, taken.endpoint_id, key_share=True)
        delivery = await lock_delivery(session, taken.delivery_id)
        if endpoint is None or delivery is None or delivery.leased_until != taken.leased_until:
            # Deleted, or the lease ran out, and what came of it is another worker's to say.
            return None
        delivery.leased_until = None
        delivery.last_attempt_at = now()
        delivery.last_status_code = outcome.status_code
        delivery.last_error = outcome.error
        # One that was asked for again while it was on its way has its schedule before it.
        delivery.attempts += 1
        if outcome.arrived:
            delivery.status = "delivered"
            delivery.delivered_at = now()
        else:
            _put_off(endpoint, delivery, outcome, at)
        await session.flush()
        goes_on = outcome.arrived and _may_be_sent_to(endpoint, at)
        following = await _next_of_the_lane(session, taken, at) if goes_on else None
    if delivery.status == "dead_lettered":
        metrics.WEBHOOKS_DEAD_LETTERED.inc()
        log.warning("webhook_dead_lettered", attempts=delivery.attempts)
    return following


async def give_back(database: Database, taken: Taken) -> None:
    """Nothing came of it, since this worker stops: another one may have it at once."""
    async with database.writing() as session:
        await session.execute(
            update(WebhookDelivery)
            .where(WebhookDelivery.id == taken.delivery_id)
            .where(WebhookDelivery.leased_until == taken.leased_until)
            .values(leased_until=None)
        )


def _may_be_sent_to(endpoint: WebhookEndpoint, at: datetime) -> bool:
    asked_for_time = endpoint.resume_at is not None and endpoint.resume_at > at
    return endpoint.status == "enabled" and not asked_for_time


def _put_off(
    endpoint: WebhookEndpoint, delivery: WebhookDelivery, outcome: Outcome, at: datetime
) -> None:
    again = next_attempt(delivery.attempts, delivery.queued_at, at, outcome.retry_after)
    if outcome.retry_after is not None:
        # What the server asked for, it asked for all that is sent to it.
        asked = at + min(outcome.retry_after, LONGEST_WISH)
        endpoint.resume_at = max(asked, endpoint.resume_at or asked)
    if outcome.gone:
        endpoint.status, endpoint.disabled_reason = "disabled", "gone"
        endpoint.updated_at = now()
        log.warning("webhook_endpoint_gone")
    if outcome.gone or again is None:
        delivery.status = "dead_lettered"
    else:
        delivery.next_attempt_at = again


async def _next_of_the_lane(session: AsyncSession, taken: Taken, at: datetime) -> Taken | None:
    following = await session.scalar(
        select(WebhookDelivery)
        .where(WebhookDelivery.endpoint_id == taken.endpoint_id)
        .where(WebhookDelivery.subject_id == taken.subject_id)
        .where(WebhookDelivery.status == "pending")
        .order_by(WebhookDelivery.sequence)
        .limit(1)
    )
    if following is None or following.next_attempt_at > max(at, now()):
        return None
    return await _lease(session, following.id)


async def _lease(session: AsyncSession, delivery_id: uuid.UUID) -> Taken | None:
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
    return None if row is None else Taken(*row, until)
