"""Which worker processes are alive, on PostgreSQL, so that a dead one's work is taken over.

The open-source engine recovers what its own process left behind, but does not notice when another
host dies. Every worker beats in our table, by the database's clock; one that has beaten without
a gap itself may hand the work of a silent one back to the queue. A wrong verdict is harmless: the
engine fences every checkpoint, so a worker that wakes up is refused.
"""

import asyncio
import time

import structlog
from dbos import DBOS
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from partner_connector.database import Database
from partner_connector.engine import SCHEMA

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
# Work of one that was forgotten before all of it was taken over.
_FORGOTTEN = text(
    f"SELECT DISTINCT executor_id FROM {SCHEMA}.workflow_status WHERE status = 'PENDING' "  # noqa: S608
    "AND executor_id NOT IN (SELECT id FROM executors)"
)
_RESIGN = text("UPDATE executors SET beat_at = '-infinity' WHERE id = :id")
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

    async def watch(self) -> None:
        """Beat and take over, until cancelled."""
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            try:
                await self.beat()
                await self.take_over()
            except Exception as error:
                log.warning("heartbeat_failed", error=type(error).__name__)

    async def take_over(self) -> None:
        """Hand the unfinished work of silent workers back to the queue."""
        if self._unbroken_since is None:
            return
        if time.monotonic() - self._unbroken_since < DEAD_AFTER_SECONDS:
            return
        async with self.database.writing() as session:
            parameters = {"seconds": DEAD_AFTER_SECONDS, "id": self.executor_id}
            dead = list((await session.execute(_SILENT, parameters)).scalars())
            dead += (await session.execute(_FORGOTTEN)).scalars()
            if not dead:
                return
            # The engine's one entry point for this has no public name yet. It is idempotent.
            recover = DBOS._recover_pending_workflows  # noqa: SLF001
            recovered = await asyncio.to_thread(recover, dead)
            await session.execute(_FORGET, {"ids": dead})
        log.warning("dead_workers_taken_over", executors=dead, workflows=len(recovered))

    async def resign(self) -> None:
        """Hand over at once: the next beat of any other worker takes this one's work."""
        try:
            async with self.database.writing() as session:
                await session.execute(_RESIGN, {"id": self.executor_id})
        except (SQLAlchemyError, OSError) as error:
            log.warning("resigning_failed", error=type(error).__name__)
