"""Gauges of the whole deployment, read from the database at a fixed interval for `/metrics`.

Requests of `/metrics` do not read the database: they need no key, so they must not cause load.
"""

from datetime import datetime

from sqlalchemy import ColumnElement, func, literal_column, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.clock import now
from partner_connector.db.engine import Database
from partner_connector.db.models import (
    SyncJob,
    Token,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEvent,
)
from partner_connector.db.models.sync_job import UNFINISHED
from partner_connector.db.models.token import HEALTHS
from partner_connector.db.models.webhook_delivery import is_first_in, queues_with_pending
from partner_connector.telemetry import metrics

REFRESH_SECONDS = 15.0
# Literal, as in the partial indexes: SQLite does not use those for bound parameters.
_UNFINISHED_OF_PARTNERS: ColumnElement[bool] = literal_column(
    "status IN ('queued', 'running', 'waiting', 'halted') AND partner_id IS NOT NULL"
)
_UNFINISHED_OF_INTEGRATIONS: ColumnElement[bool] = literal_column(
    "status IN ('queued', 'running', 'waiting', 'halted') AND finished_at IS NULL "
    "AND partner_id IS NULL"
)
_ACTIVE_OF_PARTNERS: ColumnElement[bool] = literal_column(
    "state = 'active' AND partner_id IS NOT NULL"
)
_ACTIVE_OF_INTEGRATIONS: ColumnElement[bool] = literal_column(
    "state = 'active' AND partner_id IS NULL"
)
_WITHOUT_SEQUENCE: ColumnElement[bool] = literal_column("sequence IS NULL")


async def refresh_gauges(database: Database) -> None:
    """Update all gauges. On an error set `database_up` to 0, leave the rest as it is and raise."""
    try:
        async with database.reading() as session:
            await _count_jobs(session)
            await _count_tokens(session)
            await _count_events(session)
            await _count_deliveries(session)
    except Exception:
        metrics.DATABASE_UP.set(0)
        raise
    metrics.DATABASE_UP.set(1)


async def _count_jobs(session: AsyncSession) -> None:
    unfinished = union_all(
        *(
            select(SyncJob.status, func.count(), func.min(SyncJob.created_at))
            .where(condition)
            .group_by(SyncJob.status)
            for condition in (_UNFINISHED_OF_PARTNERS, _UNFINISHED_OF_INTEGRATIONS)
        )
    )
    numbers = dict.fromkeys(UNFINISHED, 0)
    queued_since = None
    for status, number, first in await session.execute(unfinished):
        numbers[status] += number
        if status == "queued":
            queued_since = min(queued_since or first, first)
    for status, number in numbers.items():
        metrics.SYNC_JOBS.labels(status).set(number)
    metrics.OLDEST_QUEUED.set(_age(queued_since))


async def _count_tokens(session: AsyncSession) -> None:
    active = union_all(
        *(
            select(Token.health, func.count()).where(condition).group_by(Token.health)
            for condition in (_ACTIVE_OF_PARTNERS, _ACTIVE_OF_INTEGRATIONS)
        )
    )
    numbers = dict.fromkeys(HEALTHS, 0)
    for health, number in await session.execute(active):
        numbers[health] += number
    for health, number in numbers.items():
        metrics.TOKENS.labels(health).set(number)


async def _count_events(session: AsyncSession) -> None:
    waiting = select(func.count(), func.min(WebhookEvent.id)).where(_WITHOUT_SEQUENCE)
    number, first = (await session.execute(waiting)).one()
    since = select(WebhookEvent.occurred_at).where(WebhookEvent.id == first)
    metrics.WEBHOOK_EVENTS_WAITING.set(number)
    metrics.OLDEST_WEBHOOK_EVENT.set(_age(await session.scalar(since)))


async def _count_deliveries(session: AsyncSession) -> None:
    every = queues_with_pending()
    pending = (
        select(func.coalesce(func.sum(every.c.pending), 0), func.min(WebhookDelivery.queued_at))
        .select_from(every)
        .join(WebhookDelivery, is_first_in(every))
        .join(WebhookEndpoint, WebhookEndpoint.id == every.c.endpoint_id)
        .where(WebhookEndpoint.status == "enabled")
    )
    number, since = (await session.execute(pending)).one()
    metrics.WEBHOOK_DELIVERIES_PENDING.set(number)
    metrics.OLDEST_WEBHOOK_DELIVERY.set(_age(since))


def _age(since: datetime | None) -> float:
    return 0.0 if since is None else max(0.0, (now() - since).total_seconds())
