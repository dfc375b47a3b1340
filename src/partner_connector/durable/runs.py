"""The engine's record of its runs: whose each one is, and giving it back.

The engine fences its own checkpoints: an execution that no longer has its run is refused. Here the
same is asked of what we write ourselves, and runs go back to the queue in our transactions, which
the engine has no public way to do.
"""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

import sqlalchemy as sa
from dbos import DBOS
from dbos import error as engine_errors
from dbos._context import current_owner_xid
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.engine import Database
from partner_connector.db.locks import only_free, shared
from partner_connector.durable.engine import SCHEMA, TRACEPARENT
from partner_connector.telemetry import tracing


async def refuse_if_taken_over(session: AsyncSession) -> None:
    """Raise if the run in which this is called belongs to another execution by now.

    As the last thing of a transaction: the run stays locked until it commits. What is no part of a
    run may always write.
    """
    run_id = DBOS.workflow_id
    if run_id is None:
        return
    runs = runs_table(session)
    owner = sa.select(runs.c.owner_xid).where(runs.c.workflow_uuid == run_id)
    if await session.scalar(shared(owner)) != current_owner_xid(run_id):
        raise engine_errors.DBOSWorkflowConflictIDError(run_id)


async def unfinished_runs(session: AsyncSession) -> dict[str, set[str]]:
    """The runs that were begun, by the executor that has them."""
    runs = runs_table(session)
    begun = sa.select(runs.c.executor_id, runs.c.workflow_uuid).where(runs.c.status == "PENDING")
    found: dict[str, set[str]] = {}
    for executor_id, run_id in await session.execute(begun):
        found.setdefault(executor_id, set()).add(run_id)
    return found


async def hand_back(session: AsyncSession, run_ids: Collection[str]) -> int:
    """Enqueue these unfinished runs again, each where it was. Answers how many.

    Those that somebody holds at this moment are left out: look again later.
    """
    runs = runs_table(session)
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


@asynccontextmanager
async def traced_run(
    database: Database, task: str, subject_id: str, attempt: int
) -> AsyncIterator[None]:
    """One span for the whole run, in the trace in which it was asked for."""
    if not tracing.is_on():
        yield
        return
    async with database.reading() as session:
        runs = runs_table(session)
        query = sa.select(runs.c.attributes).where(runs.c.workflow_uuid == DBOS.workflow_id)
        attributes = await session.scalar(query) or {}
    with tracing.span(
        f"run {task}",
        tracing.CONSUMER,
        parent=attributes.get(TRACEPARENT),
        task=task,
        subject_id=subject_id,
        attempt=attempt,
    ):
        yield


def runs_table(session: AsyncSession) -> sa.TableClause:
    """The engine's table, as far as it is used here. On SQLite there are no schemas."""
    names = (
        "workflow_uuid",
        "status",
        "executor_id",
        "owner_xid",
        "created_at",
        "started_at_epoch_ms",
        "delay_until_epoch_ms",
    )
    columns = (*map(sa.column, names), sa.column("attributes", sa.JSON()))
    schema = None if session.get_bind().dialect.name == "sqlite" else SCHEMA
    return sa.table("workflow_status", *columns, schema=schema)
