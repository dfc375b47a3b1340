"""Workflow runs: tracing, lost runs and deletion, with public functions of DBOS."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import datetime

from dbos import DBOS

from partner_connector.db.engine import Database
from partner_connector.durable.dbos_internals import attributes_of_run
from partner_connector.durable.engine import TRACEPARENT
from partner_connector.telemetry import tracing

_CAN_STILL_RUN = {"PENDING", "ENQUEUED", "DELAYED"}
_HAS_ENDED = ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]


@asynccontextmanager
async def traced_run(
    database: Database, task: str, subject_id: str, attempt: int
) -> AsyncIterator[None]:
    """Trace the whole run as one span, in the trace of the request that enqueued it."""
    if not tracing.is_on():
        yield
        return
    async with database.reading() as session:
        attributes = await attributes_of_run(session, DBOS.workflow_id)
    with tracing.span(
        f"run {task}",
        tracing.CONSUMER,
        parent=attributes.get(TRACEPARENT),
        task=task,
        subject_id=subject_id,
        attempt=attempt,
    ):
        yield


async def lost(run_ids: Collection[str]) -> set[str]:
    """Return the ids of runs that cannot continue: ended, given up, or unknown to DBOS."""
    if not run_ids:
        return set()
    known = await DBOS.list_workflows_async(
        workflow_ids=list(run_ids), load_input=False, load_output=False
    )
    return set(run_ids) - {run.workflow_id for run in known if run.status in _CAN_STILL_RUN}


async def delete_ended(before: datetime, *, at_most: int) -> int:
    """Delete records of runs that ended before `before`, with their steps. Return how many."""
    runs = await DBOS.list_workflows_async(
        status=_HAS_ENDED,
        completed_before=before.isoformat(),
        limit=at_most,
        load_input=False,
        load_output=False,
    )
    if runs:
        await DBOS.delete_workflows_async([run.workflow_id for run in runs])
    return len(runs)
