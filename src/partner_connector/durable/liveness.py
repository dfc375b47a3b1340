"""Which worker processes are alive, on PostgreSQL, so that a dead one's work is taken over.

The open-source engine recovers what its own process left behind, but does not notice when another
host dies. Every worker beats in our table, by the database's clock; one that has beaten without
a gap itself may hand the work of a silent one back to the queue. One that is asked to stop hands
back its own. A wrong verdict is harmless: the engine fences every checkpoint, so a worker that
wakes up is refused, and so is what it would write to our tables (`runs`).
"""

import time
from collections.abc import Sequence

import structlog
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.engine import Database
from partner_connector.durable.dbos_internals import hand_back, unfinished_runs

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
_SILENCES = text("SELECT EXTRACT(EPOCH FROM clock_timestamp() - beat_at) FROM executors")
_FORGET = text("DELETE FROM executors WHERE id = ANY(:ids)")


class Liveness:
    """One worker's heartbeat, and its watch over the others."""

    def __init__(self, database: Database, executor_id: str) -> None:
        self.database = database
        self.executor_id = executor_id
        self._unbroken_since: float | None = None
        self._last_beat: float | None = None

    async def beat(self) -> None:
        """Say that this worker is alive. Call once before the engine is launched."""
        async with self.database.writing() as session:
            await session.execute(_BEAT, {"id": self.executor_id})
        at = time.monotonic()
        if self._last_beat is None or at - self._last_beat > DEAD_AFTER_SECONDS / 2:
            # Just started, asleep, or the database was away: not a witness of the others yet.
            self._unbroken_since = at
        self._last_beat = at

    async def beat_and_take_over(self) -> None:
        """Say that this worker is alive, then look after the others."""
        await self.beat()
        await self.take_over()

    async def take_over(self) -> None:
        """Hand the unfinished work of silent workers back to the queue."""
        if self._unbroken_since is None:
            return
        if time.monotonic() - self._unbroken_since < DEAD_AFTER_SECONDS:
            return
        async with self.database.writing() as session:
            parameters = {"seconds": DEAD_AFTER_SECONDS, "id": self.executor_id}
            dead = set(await session.scalars(_SILENT, parameters))
            runs = await unfinished_runs(session)
            # With work of one that was forgotten before all of it was taken over.
            dead |= runs.keys() - set(await session.scalars(_KNOWN))
            if not dead:
                return
            taken = await _hand_over(session, dead, runs)
        log.warning("dead_workers_taken_over", executors=sorted(dead), workflows=taken)

    async def resign(self) -> None:
        """Hand over at once: whoever looks at the queue next goes on with this one's work.

        Call when nothing here works any more. Should it fail, the silence tells the others.
        """
        try:
            async with self.database.writing() as session:
                runs = await unfinished_runs(session)
                left = await _hand_over(session, {self.executor_id}, runs)
        except (SQLAlchemyError, OSError) as error:
            log.warning("resigning_failed", error=type(error).__name__)
        else:
            log.info("worker_resigned", executor=self.executor_id, workflows=left)


async def _hand_over(session: AsyncSession, executors: set[str], runs: dict[str, set[str]]) -> int:
    """Enqueue what these executors left unfinished, and forget them. Answers how many runs."""
    await session.execute(_FORGET, {"ids": list(executors)})
    return await hand_back(session, set().union(*(runs.get(one, set()) for one in executors)))


async def worker_beats(session: AsyncSession) -> Sequence[float]:
    """Return for how many seconds each worker that has not resigned has been silent.

    On PostgreSQL only: with SQLite there is one process.
    """
    beats = await session.scalars(_SILENCES)
    return [float(each) for each in beats]


def alive(beats: Sequence[float]) -> int:
    """Count the workers that are not taken for dead."""
    return sum(each < DEAD_AFTER_SECONDS for each in beats)
