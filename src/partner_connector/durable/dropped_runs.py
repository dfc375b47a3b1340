"""Runs that the engine has given to this process, and that nothing here works on.

Where the engine cannot write down how a run ended, as on a full disk, or cannot read what it has
just taken from the queue, it drops the run: by its record it goes on, for ever, and nothing else of
the same target is begun. Such a run is enqueued again.
"""

import structlog
from dbos import DBOS

from partner_connector.db.engine import Database
from partner_connector.durable.dbos_internals import hand_back, runs_of, unfinished_runs

LOOK_SECONDS = 5.0

log = structlog.get_logger()


class DroppedRuns:
    """Compares the record with what runs here. A run that is dropped is so at two looks."""

    def __init__(self, database: Database, executor: DBOS, executor_id: str) -> None:
        self.database = database
        self.executor = executor
        self.executor_id = executor_id
        self._idle: set[str] = set()

    async def look(self) -> None:
        """Enqueue again what was idle at the last look, too: one may just begin, or just end."""
        async with self.database.reading() as session:
            recorded = (await unfinished_runs(session)).get(self.executor_id, set())
        idle = recorded - runs_of(self.executor)
        dropped, self._idle = idle & self._idle, idle
        if not dropped:
            return
        async with self.database.writing() as session:
            await hand_back(session, dropped)
        log.error("runs_were_dropped", runs=sorted(dropped))
