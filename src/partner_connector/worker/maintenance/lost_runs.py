"""Rows that say `running` or `waiting`, and that no run of the engine's could end.

An outage lasted longer than every retry, or the engine gave a run up. Such a row would also block
every new request for its target, so it is looked for, not hoped against.
"""

from datetime import timedelta

import structlog
from sqlalchemy import or_, select

from partner_connector.clock import now
from partner_connector.db.locks import lock_job, lock_validation
from partner_connector.db.models import SyncJob, TokenValidation
from partner_connector.durable import runs, tasks
from partner_connector.worker.backoff import Pause, pause_after_crash
from partner_connector.worker.context import Workshop
from partner_connector.worker.sync import progress

# Younger rows may be between their commit and the engine's.
_SETTLED_AFTER = timedelta(seconds=60)
_AT_A_TIME = 100
# A proof has no other end than a verdict: one that is lost again and again is tried rarely.
_LONG_AFTER = timedelta(hours=1)

log = structlog.get_logger()


async def revive_jobs(shop: Workshop) -> None:
    """Jobs whose attempt the engine no longer knows or has ended."""
    before = now() - _SETTLED_AFTER
    async with shop.database.reading() as session:
        jobs = (
            await session.scalars(
                select(SyncJob)
                .where(SyncJob.status.in_(["queued", "running", "waiting"]))
                .where(SyncJob.own_work_done.is_(False), SyncJob.updated_at < before)
                .where(or_(SyncJob.resume_at.is_(None), SyncJob.resume_at < before))
                .order_by(SyncJob.updated_at)
                .limit(_AT_A_TIME)
            )
        ).all()
    ids = {job.id: _run_id(job.task, job.id, job.attempt) for job in jobs}
    lost = await runs.lost(ids.values())
    for job in jobs:
        if ids[job.id] in lost:
            await _revive_job(shop, job)


async def _revive_job(shop: Workshop, stale: SyncJob) -> None:
    async with shop.database.writing() as session:
        job = await lock_job(session, stale.id)
        if job is None or job.attempt != stale.attempt or job.status != stale.status:
            return
        log.error("sync_job_was_lost", job_id=str(job.id), attempt=job.attempt)
        await progress.retry_after_crash(session, shop.queue, job)


async def revive_validations(shop: Workshop) -> None:
    """Proofs whose attempt the engine no longer knows or has ended."""
    before = now() - _SETTLED_AFTER
    resting = TokenValidation.resume_at
    async with shop.database.reading() as session:
        validations = (
            await session.scalars(
                select(TokenValidation)
                .where(TokenValidation.status != "completed")
                .where(TokenValidation.created_at < before)
                .where(or_(resting.is_(None), resting < before))
                .order_by(TokenValidation.id)
                .limit(_AT_A_TIME)
            )
        ).all()
    ids = {row.id: _run_id(tasks.VALIDATE_TOKEN, row.id, row.attempt) for row in validations}
    lost = await runs.lost(ids.values())
    for row in validations:
        if ids[row.id] in lost:
            await _revive_validation(shop, row)


async def _revive_validation(shop: Workshop, stale: TokenValidation) -> None:
    async with shop.database.writing() as session:
        row = await lock_validation(session, stale.id)
        if row is None or row.attempt != stale.attempt or row.status == "completed":
            return
        log.error("token_validation_was_lost", validation_id=str(row.id), attempt=row.attempt)
        row.crashes += 1
        pause = pause_after_crash(row.crashes) or Pause("retrying", now() + _LONG_AFTER)
        row.attempt += 1
        row.resume_at = pause.resume_at
        owner = row.partner_id or row.integration_id
        await shop.queue.enqueue(
            session,
            tasks.validate_token(row.id, owner, attempt=row.attempt, not_before=pause.resume_at),
        )


def _run_id(workflow: str, subject_id: object, attempt: int) -> str:
    return tasks.run_id(workflow, str(subject_id), attempt)
