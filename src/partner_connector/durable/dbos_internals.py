"""Private names of DBOS and columns of its table, which no other file uses.

`tests/durable/test_dbos_internals.py` fails if a release of DBOS changes any of them.

DBOS fences its own checkpoints: it refuses an execution that no longer owns its run. This module
adds the same check to our own writes, and puts runs back into the queue inside our transactions.
DBOS has no public function for either.
"""

import asyncio
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NoReturn

import sqlalchemy as sa
from dbos import DBOS, DBOSPortableJSONSerializer
from dbos import error as dbos_errors
from dbos._context import current_owner_xid
from dbos._migration import get_migration_versions, get_sqlite_migration_versions
from dbos._serialization import DefaultSerializer
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.clock import now
from partner_connector.db.locks import lock_for_share, skip_locked_rows

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
# Tables whose rows name the format of their own values.
_SERIALIZED_TABLES = (
    "workflow_status",
    "operation_outputs",
    "notifications",
    "workflow_events",
    "workflow_events_history",
    "streams",
)
_ONLY_JSON = "only_portable_json"


def _refuse_pickle(*_: object) -> NoReturn:
    raise TypeError("A row of the engine names pickle as its format: refused")


# DBOS reads a value in the format that its row names, whatever serializer is configured, and one
# format is pickle: a row would run code in the worker. Replaced when this module is imported, so
# that no process can use DBOS without it.
DefaultSerializer.deserialize = _refuse_pickle  # type: ignore[method-assign,assignment]  # see above


@dataclass(frozen=True, slots=True)
class Runs:
    """Number of runs in one state, and for how many seconds the oldest has been in it."""

    number: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        return f"{self.number}, the first for {self.seconds:.0f} s" if self.number else "0"


@dataclass(frozen=True, slots=True)
class Queues:
    """Counts of all runs that have not ended, by state."""

    queued: Runs
    delayed: Runs
    running: Runs


def table_versions(engine: sa.Engine) -> tuple[int, int]:
    """Return how many of DBOS's migrations the database has, and how many it needs."""
    if engine.dialect.name == "sqlite":
        return get_sqlite_migration_versions(engine)
    return get_migration_versions(engine, SCHEMA, use_listen_notify=True)


def allow_only_json(connection: sa.Connection) -> None:
    """Have the database refuse rows of DBOS that name another format than JSON. Safe to repeat."""
    condition = f"serialization IS NULL OR serialization = '{DBOSPortableJSONSerializer().name()}'"
    on_sqlite = connection.dialect.name == "sqlite"
    add = _add_triggers if on_sqlite else _add_check_constraint
    for table in _SERIALIZED_TABLES:
        add(connection, table, condition)


def _add_check_constraint(connection: sa.Connection, table: str, condition: str) -> None:
    constraints = sa.inspect(connection).get_check_constraints(table, SCHEMA)
    if _ONLY_JSON not in {constraint["name"] for constraint in constraints}:
        add = f"ALTER TABLE {SCHEMA}.{table} ADD CONSTRAINT {_ONLY_JSON} CHECK ({condition})"
        connection.execute(sa.text(add))


def _add_triggers(connection: sa.Connection, table: str, condition: str) -> None:
    """Add triggers: SQLite cannot add a constraint to a table."""
    for event in ("INSERT", "UPDATE"):
        name = f"{table}_{_ONLY_JSON}_{event.lower()}"
        checked = condition.replace("serialization", "NEW.serialization")
        connection.execute(
            sa.text(
                f"CREATE TRIGGER IF NOT EXISTS {name} BEFORE {event} ON {table}"
                f" WHEN NOT ({checked}) BEGIN SELECT RAISE(ABORT, '{_ONLY_JSON}'); END"
            )
        )


def runs_of(executor: DBOS) -> set[str]:
    """Return the ids of the runs that this process works on."""
    return set(executor._active_workflows_set.activeList())  # noqa: SLF001 - no public way to ask


async def stop_executor(executor: DBOS) -> None:
    """Stop the executor and interrupt its runs.

    The runs stay unfinished in the engine's record, and continue later, here or on another host.
    """
    for stop_event in executor.background_thread_stop_events:
        stop_event.set()
    await _cancel_runs(executor)
    # Not on the loop's default threads: DBOS has replaced them with its own, and ends them.
    with ThreadPoolExecutor(max_workers=1) as thread:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(thread, lambda: DBOS.destroy(workflow_completion_timeout_sec=0))
    # Cancel runs that were taken from the queue during the first cancellation.
    await _cancel_runs(executor)


async def _cancel_runs(executor: DBOS) -> None:
    """Cancel the tasks of all runs. DBOS itself would let them continue with closed connections."""
    runs = set(executor._workflow_tasks)  # noqa: SLF001 - DBOS only stops taking new work
    for run in runs:
        run.cancel()
    await asyncio.gather(*runs, return_exceptions=True)


async def refuse_if_taken_over(session: AsyncSession) -> None:
    """Raise `DBOSWorkflowConflictIDError` if another execution owns the current run by now.

    Call it last in a transaction: the run stays locked until the commit. Outside a run every write
    is allowed.
    """
    run_id = DBOS.workflow_id
    if run_id is None:
        return
    runs = _runs_table(session)
    owner = sa.select(runs.c.owner_xid).where(runs.c.workflow_uuid == run_id)
    if await session.scalar(lock_for_share(owner)) != current_owner_xid(run_id):
        raise dbos_errors.DBOSWorkflowConflictIDError(run_id)


async def unfinished_runs(session: AsyncSession) -> dict[str, set[str]]:
    """Return the ids of started runs that have not ended, by executor."""
    runs = _runs_table(session)
    begun = sa.select(runs.c.executor_id, runs.c.workflow_uuid).where(runs.c.status == "PENDING")
    found: dict[str, set[str]] = {}
    for executor_id, run_id in await session.execute(begun):
        found.setdefault(executor_id, set()).add(run_id)
    return found


async def requeue_runs(session: AsyncSession, run_ids: Collection[str]) -> int:
    """Enqueue these unfinished runs again; each continues where it was. Return how many.

    Locked runs are skipped: call again later.
    """
    runs = _runs_table(session)
    free = sa.select(runs.c.workflow_uuid).where(
        runs.c.workflow_uuid.in_(run_ids), runs.c.status == "PENDING"
    )
    handed_back = await session.execute(
        sa.update(runs)
        .where(runs.c.workflow_uuid.in_(skip_locked_rows(free)))
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
    # A delayed run counts as queued from its planned time, not from when it was enqueued.
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
