"""Recovery of runs that the engine has assigned to this process but does not execute.

The engine drops a run if it cannot record the end of the run, for example on a full disk, or cannot
read a run that it has just taken from the queue. Its record says forever that the run is running,
and no other run of the same target starts. Such a run is enqueued again.
"""

import structlog
from dbos import DBOS

from partner_connector.db.engine import Database
from partner_connector.durable.dbos_internals import requeue_runs, runs_of, unfinished_runs

POLL_SECONDS = 5.0

log = structlog.get_logger()


class DroppedRuns:
    """Detector of dropped runs: compares the recorded runs with those in this process."""

    def __init__(self, database: Database, executor: DBOS, executor_id: str) -> None:
        self.database = database
        self.executor = executor
        self.executor_id = executor_id
        self._idle: set[str] = set()

    async def poll(self) -> None:
        """Enqueue runs again that are idle now and were idle at the last poll.

        One poll is not enough: a run may be about to start or to end.
        """
        async with self.database.reading() as session:
            recorded = (await unfinished_runs(session)).get(self.executor_id, set())
        idle = recorded - runs_of(self.executor)
        dropped, self._idle = idle & self._idle, idle
        if not dropped:
            return
        async with self.database.writing() as session:
            await requeue_runs(session, dropped)
        log.error("dropped_runs_requeued", runs=sorted(dropped))
