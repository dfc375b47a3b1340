"""Heartbeats of worker processes on PostgreSQL, so that other workers recover a dead worker's runs.

The open-source engine recovers only the runs of its own process. It does not notice when another
host dies. Every worker writes a heartbeat to our table, by the database's clock. A worker whose own
heartbeats had no gap may put the runs of a silent worker back into the queue. A worker that stops
puts back its own runs. A wrong decision is harmless: the engine fences every checkpoint, and our
own writes are fenced as well (`dbos_internals.refuse_if_taken_over`).
"""

import time
from collections.abc import Sequence

import structlog
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.engine import Database
from partner_connector.durable.dbos_internals import requeue_runs, unfinished_runs

BEAT_SECONDS = 5.0
DEAD_AFTER_SECONDS = 30.0

log = structlog.get_logger()

_BEAT = text(
    "INSERT INTO executors (id, beat_at) VALUES (:id, clock_timestamp()) "
    "ON CONFLICT (id) DO UPDATE SET beat_at = excluded.beat_at"
)
_SILENT = text(
    "SELECT id FROM executors WHERE beat_at < clock_timestamp() - make_interval(secs => :seconds) "
    "AND id <> :id FOR UPDATE SKIP LOCKED"
)
_KNOWN = text("SELECT id FROM executors")
_HEARTBEAT_AGES = text("SELECT EXTRACT(EPOCH FROM clock_timestamp() - beat_at) FROM executors")
_DELETE = text("DELETE FROM executors WHERE id = ANY(:ids)")


class Liveness:
    """Heartbeat of one worker, and recovery of the runs of silent workers."""

    def __init__(self, database: Database, executor_id: str) -> None:
        self.database = database
        self.executor_id = executor_id
        self._unbroken_since: float | None = None
        self._last_beat: float | None = None

    async def beat(self) -> None:
        """Write a heartbeat. Call it once before the engine is launched."""
        async with self.database.writing() as session:
            await session.execute(_BEAT, {"id": self.executor_id})
        at = time.monotonic()
        if self._last_beat is None or at - self._last_beat > DEAD_AFTER_SECONDS / 2:
            # After a start, a pause or a database outage this worker cannot judge the others yet.
            self._unbroken_since = at
        self._last_beat = at

    async def beat_and_take_over(self) -> None:
        """Write a heartbeat, then take over the runs of silent workers."""
        await self.beat()
        await self.take_over()

    async def take_over(self) -> None:
        """Put the unfinished runs of silent workers back into the queue."""
        if self._unbroken_since is None:
            return
        if time.monotonic() - self._unbroken_since < DEAD_AFTER_SECONDS:
            return
        async with self.database.writing() as session:
            parameters = {"seconds": DEAD_AFTER_SECONDS, "id": self.executor_id}
            dead = set(await session.scalars(_SILENT, parameters))
            runs = await unfinished_runs(session)
            # Include workers whose row was deleted before all of their runs were taken over.
            dead |= runs.keys() - set(await session.scalars(_KNOWN))
            if not dead:
                return
            taken = await _hand_over(session, dead, runs)
        log.warning("dead_workers_taken_over", executors=sorted(dead), workflows=taken)

    async def resign(self) -> None:
        """Put this worker's runs back into the queue at once, for another worker.

        Call it after all work here has stopped. If it fails, the others notice the silence.
        """
        try:
            async with self.database.writing() as session:
                runs = await unfinished_runs(session)
                left = await _hand_over(session, {self.executor_id}, runs)
        except (SQLAlchemyError, OSError) as error:
            log.warning("worker_runs_not_released", error=type(error).__name__)
        else:
            log.info("worker_runs_released", executor=self.executor_id, workflows=left)


async def _hand_over(session: AsyncSession, executors: set[str], runs: dict[str, set[str]]) -> int:
    """Enqueue the unfinished runs of these executors, and delete them. Return how many runs."""
    await session.execute(_DELETE, {"ids": list(executors)})
    return await requeue_runs(session, set().union(*(runs.get(one, set()) for one in executors)))


async def heartbeat_ages(session: AsyncSession) -> Sequence[float]:
    """Return the age of the last heartbeat, in seconds, of each worker that has not resigned.

    On PostgreSQL only: with SQLite there is one process.
    """
    ages = await session.scalars(_HEARTBEAT_AGES)
    return [float(each) for each in ages]


def count_alive(ages: Sequence[float]) -> int:
    """Count the workers whose last heartbeat is recent enough."""
    return sum(each < DEAD_AFTER_SECONDS for each in ages)
