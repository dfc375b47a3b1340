"""How the durable engine does, for `partner-connector check`: tables, queues, workers."""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from dbos._migration import get_migration_versions, get_sqlite_migration_versions
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.clock import now
from partner_connector.durable.engine import SCHEMA
from partner_connector.durable.liveness import DEAD_AFTER_SECONDS
from partner_connector.durable.runs import runs_table

_STILL_TO_DO = ("ENQUEUED", "DELAYED", "PENDING")


@dataclass(frozen=True, slots=True)
class Runs:
    """How many there are, and for how long the first of them has been there."""

    number: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        return f"{self.number}, the first for {self.seconds:.0f} s" if self.number else "0"


@dataclass(frozen=True, slots=True)
class Queues:
    """What waits for a worker, what waits for its time, and what is being worked on."""

    queued: Runs
    delayed: Runs
    running: Runs


def table_versions(engine: sa.Engine) -> tuple[int, int]:
    """Which of its migrations this database has, 0 for none, and which this version needs."""
    if engine.dialect.name == "sqlite":
        return get_sqlite_migration_versions(engine)
    return get_migration_versions(engine, SCHEMA, use_listen_notify=True)


async def queues(session: AsyncSession) -> Queues:
    """All work that is not done."""
    runs = runs_table(session)
    # What was to wait is in the queue since its time came, not since it was asked for.
    queued_since = sa.func.coalesce(runs.c.delay_until_epoch_ms, runs.c.created_at)
    since = sa.case(
        (runs.c.status == "PENDING", runs.c.started_at_epoch_ms),
        (runs.c.status == "DELAYED", runs.c.created_at),
        else_=queued_since,
    )
    counted = (
        sa.select(runs.c.status, sa.func.count(), sa.func.min(since))
        .where(runs.c.status.in_(_STILL_TO_DO))
        .group_by(runs.c.status)
    )
    at = now().timestamp()
    found = {
        status: Runs(number, max(0.0, at - (first or at * 1000) / 1000))
        for status, number, first in await session.execute(counted)
    }
    return Queues(*(found.get(status, Runs()) for status in _STILL_TO_DO))


async def worker_beats(session: AsyncSession) -> Sequence[float]:
    """For how many seconds each worker that has not resigned has been silent. On PostgreSQL only:
    with SQLite there is one process.
    """
    silent_for = "EXTRACT(EPOCH FROM clock_timestamp() - beat_at)"
    beats = await session.scalars(sa.text(f"SELECT {silent_for} FROM executors"))  # noqa: S608 - our own words
    return [float(each) for each in beats]


def alive(beats: Sequence[float]) -> int:
    """How many of them are not taken for dead."""
    return sum(each < DEAD_AFTER_SECONDS for each in beats)
