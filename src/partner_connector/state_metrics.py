"""What the database says of the whole deployment, looked up now and then for `/metrics`.

Not by who asks for the metrics: an address without a key must not be a way to load the database.
"""

import asyncio

import structlog
from sqlalchemy import ColumnElement, func, literal_column, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector import metrics
from partner_connector.clock import now
from partner_connector.database import Database
from partner_connector.models import SyncJob, Token
from partner_connector.models.sync_job import UNFINISHED
from partner_connector.models.token import HEALTHS

LOOK_SECONDS = 15.0
# In the words of the partial indexes, which SQLite would not use for bound values.
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

log = structlog.get_logger()


async def watch(database: Database) -> None:
    """Look until cancelled."""
    while True:
        await look(database)
        await asyncio.sleep(LOOK_SECONDS)


async def look(database: Database) -> None:
    """Bring the gauges up to date; where that fails they stay, and say so."""
    try:
        async with database.reading() as session:
            await _look_at_jobs(session)
            await _look_at_tokens(session)
        metrics.DATABASE_UP.set(1)
    except Exception as error:
        metrics.DATABASE_UP.set(0)
        log.warning("metrics_not_read", error=type(error).__name__)


async def _look_at_jobs(session: AsyncSession) -> None:
    unfinished = union_all(
        *(
            select(SyncJob.status, func.count(), func.min(SyncJob.created_at))
            .where(condition)
            .group_by(SyncJob.status)
            for condition in (_UNFINISHED_OF_PARTNERS, _UNFINISHED_OF_INTEGRATIONS)
        )
    )
    numbers = dict.fromkeys(UNFINISHED, 0)
    queued_since = now()
    for status, number, first in await session.execute(unfinished):
        numbers[status] += number
        if status == "queued":
            queued_since = min(queued_since, first)
    for status, number in numbers.items():
        metrics.SYNC_JOBS.labels(status).set(number)
    metrics.OLDEST_QUEUED.set((now() - queued_since).total_seconds() if numbers["queued"] else 0)


async def _look_at_tokens(session: AsyncSession) -> None:
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
