"""Recovery of jobs and validations whose workflow run no longer exists.

That happens if an outage lasts longer than all retries, or if the engine gives up a run. The row
would stay `running` or `waiting` forever, and block every new request for its target.
"""

from datetime import timedelta
from typing import TypeVar

import structlog
from sqlalchemy import Select, or_, select

from partner_connector.clock import now
from partner_connector.db.locks import lock_job, lock_validation
from partner_connector.db.models import SyncJob, TokenValidation
from partner_connector.durable import runs, tasks
from partner_connector.worker.backoff import Pause, pause_after_crash
from partner_connector.worker.context import WorkerContext
from partner_connector.worker.sync import progress

# A younger row may be committed before the engine has recorded its run.
_SETTLED_AFTER = timedelta(seconds=60)
_BATCH_SIZE = 100
# A validation ends only with a verdict: after many lost runs it is retried rarely.
_RARE_RETRY_DELAY = timedelta(hours=1)

log = structlog.get_logger()

Row = TypeVar("Row", SyncJob, TokenValidation)


async def revive_jobs(context: WorkerContext) -> None:
    """Retry jobs whose run has ended or is unknown to the engine."""
    before = now() - _SETTLED_AFTER
    unfinished = (
        select(SyncJob)
        .where(SyncJob.status.in_(["queued", "running", "waiting"]))
        .where(SyncJob.own_work_done.is_(False), SyncJob.updated_at < before)
        .where(or_(SyncJob.resume_at.is_(None), SyncJob.resume_at < before))
        .order_by(SyncJob.updated_at)
    )
    for job in await _lost(context, unfinished):
        await _revive_job(context, job)


async def _revive_job(context: WorkerContext, stale: SyncJob) -> None:
    async with context.database.writing() as session:
        job = await lock_job(session, stale.id)
        if job is None or job.attempt != stale.attempt or job.status != stale.status:
            return
        log.error("sync_job_lost", job_id=str(job.id), attempt=job.attempt)
        await progress.retry_after_crash(session, context.queue, job)


async def revive_validations(context: WorkerContext) -> None:
    """Restart unfinished validations whose workflow run has ended or is unknown to the engine."""
    before, resume_at = now() - _SETTLED_AFTER, TokenValidation.resume_at
    unfinished = (
        select(TokenValidation)
        .where(TokenValidation.status != "completed", TokenValidation.created_at < before)
        .where(or_(resume_at.is_(None), resume_at < before))
        .order_by(TokenValidation.id)
    )
    for validation in await _lost(context, unfinished):
        await _revive_validation(context, validation)


async def _revive_validation(context: WorkerContext, stale: TokenValidation) -> None:
    async with context.database.writing() as session:
        row = await lock_validation(session, stale.id)
        if row is None or row.attempt != stale.attempt or row.status == "completed":
            return
        log.error("token_validation_lost", validation_id=str(row.id), attempt=row.attempt)
        row.crashes += 1
        pause = pause_after_crash(row.crashes) or Pause("retrying", now() + _RARE_RETRY_DELAY)
        row.attempt += 1
        row.resume_at = pause.resume_at
        owner = row.partner_id or row.integration_id
        await context.queue.enqueue(
            session,
            tasks.validate_token(row.id, owner, attempt=row.attempt, not_before=pause.resume_at),
        )


async def _lost(context: WorkerContext, unfinished: Select[Row]) -> list[Row]:
    """Return those of the first 100 rows whose run is lost."""
    async with context.database.reading() as session:
        rows = (await session.scalars(unfinished.limit(_BATCH_SIZE))).all()
    lost = await runs.lost([_run_id(row) for row in rows])
    return [row for row in rows if _run_id(row) in lost]


def _run_id(row: SyncJob | TokenValidation) -> str:
    workflow = row.task if isinstance(row, SyncJob) else tasks.VALIDATE_TOKEN
    return tasks.run_id(workflow, str(row.id), row.attempt)
