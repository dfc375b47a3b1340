"""DBOS's private names and the columns of its table: none of them is used outside this file.

`tests/durable/test_dbos_internals.py` fails when another release of DBOS changes any of them.

DBOS fences its own checkpoints: an execution that no longer has its run is refused. Here the same
is asked of what we write ourselves, and runs go back to the queue in our transactions, which DBOS
has no public way to do.
"""

import asyncio
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from dbos import DBOS
from dbos import error as dbos_errors
from dbos._context import current_owner_xid
from dbos._migration import get_migration_versions, get_sqlite_migration_versions
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.clock import now
from partner_connector.db.locks import only_free, shared

SCHEMA = "dbos"
_COLUMNS = (
    "workflow_uuid",
    "status",
    "executor_id",
    "owner_xid",
    "created_at",
    "started_at_epoch_ms",
    "delay_until_epoch_ms",
)
_NOT_ENDED = ("ENQUEUED", "DELAYED", "PENDING")


@dataclass(frozen=True, slots=True)
class Runs:
    """The number of runs in one state, and for how long the first has been in it."""

    number: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        return f"{self.number}, the first for {self.seconds:.0f} s" if self.number else "0"


@dataclass(frozen=True, slots=True)
class Queues:
    """All runs that have not ended."""

    queued: Runs
    delayed: Runs
    running: Runs


def table_versions(engine: sa.Engine) -> tuple[int, int]:
    """Return how many of DBOS's migrations the database has, and how many it needs."""
    if engine.dialect.name == "sqlite":
        return get_sqlite_migration_versions(engine)
    return get_migration_versions(engine, SCHEMA, use_listen_notify=True)


def runs_of(executor: DBOS) -> set[str]:
    """Return the ids of the runs that this process works on."""
    return set(executor._active_workflows_set.activeList())  # noqa: SLF001 - no public way to ask


async def stop_executor(executor: DBOS) -> None:
    """Leave running work where it is: it is taken up again, here or on another host."""
    for stops in executor.background_thread_stop_events:
        stops.set()
    await _cancel_runs(executor)
    # Not on the loop's default threads: DBOS has put its own in their place, and ends them.
    with ThreadPoolExecutor(max_workers=1) as thread:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(thread, lambda: DBOS.destroy(workflow_completion_timeout_sec=0))
    # Runs that were taken from the queue while the others were cancelled.
    await _cancel_runs(executor)


async def _cancel_runs(executor: DBOS) -> None:
    """Stop in the middle; DBOS itself would let the runs go on with closed connections."""
    runs = set(executor._workflow_tasks)  # noqa: SLF001 - DBOS only stops taking new work
    for run in runs:
        run.cancel()
    await asyncio.gather(*runs, return_exceptions=True)


async def refuse_if_taken_over(session: AsyncSession) -> None:
    """Raise if the run in which this is called belongs to another execution by now.

    Call it last in a transaction: the run stays locked until the commit. Outside of a run every
    write is allowed.
    """
    run_id = DBOS.workflow_id
    if run_id is None:
        return
    runs = _runs_table(session)
    owner = sa.select(runs.c.owner_xid).where(runs.c.workflow_uuid == run_id)
    if await session.scalar(shared(owner)) != current_owner_xid(run_id):
        raise dbos_errors.DBOSWorkflowConflictIDError(run_id)


async def unfinished_runs(session: AsyncSession) -> dict[str, set[str]]:
    """Return the ids of the runs that were begun, by the executor that has them."""
    runs = _runs_table(session)
    begun = sa.select(runs.c.executor_id, runs.c.workflow_uuid).where(runs.c.status == "PENDING")
    found: dict[str, set[str]] = {}
    for executor_id, run_id in await session.execute(begun):
        found.setdefault(executor_id, set()).add(run_id)
    return found


async def hand_back(session: AsyncSession, run_ids: Collection[str]) -> int:
    """Enqueue these unfinished runs again, each where it was. Return how many.

    Runs that are locked at this moment are left out: look again later.
    """
    runs = _runs_table(session)
    free = sa.select(runs.c.workflow_uuid).where(
        runs.c.workflow_uuid.in_(run_ids), runs.c.status == "PENDING"
    )
    handed_back = await session.execute(
        sa.update(runs)
        .where(runs.c.workflow_uuid.in_(only_free(free)))
        .values(status="ENQUEUED", owner_xid=None, started_at_epoch_ms=None)
        .returning(runs.c.workflow_uuid)
    )
    return len(handed_back.all())


async def attributes_of_run(session: AsyncSession, run_id: str | None) -> dict[str, Any]:
    """Return the attributes with which the run was enqueued."""
    runs = _runs_table(session)
    query = sa.select(runs.c.attributes).where(runs.c.workflow_uuid == run_id)
    return await session.scalar(query) or {}


async def queues(session: AsyncSession) -> Queues:
    """Count the runs that have not ended."""
    runs = _runs_table(session)
    # A delayed run is in the queue since its time came, not since it was enqueued.
    queued_since = sa.func.coalesce(runs.c.delay_until_epoch_ms, runs.c.created_at)
    since = sa.case(
        (runs.c.status == "PENDING", runs.c.started_at_epoch_ms),
        (runs.c.status == "DELAYED", runs.c.created_at),
        else_=queued_since,
    )
    counted = (
        sa.select(runs.c.status, sa.func.count(), sa.func.min(since))
        .where(runs.c.status.in_(_NOT_ENDED))
        .group_by(runs.c.status)
    )
    at = now().timestamp()
    found = {
        status: Runs(number, max(0.0, at - (first or at * 1000) / 1000))
        for status, number, first in await session.execute(counted)
    }
    return Queues(*(found.get(status, Runs()) for status in _NOT_ENDED))


def _runs_table(session: AsyncSession) -> sa.TableClause:
    """Return DBOS's table of runs with the columns used here. On SQLite there are no schemas."""
    columns = (*map(sa.column, _COLUMNS), sa.column("attributes", sa.JSON()))
    schema = None if session.get_bind().dialect.name == "sqlite" else SCHEMA
    return sa.table("workflow_status", *columns, schema=schema)
