"""Rows that say `running` or `waiting`, and that no run of the engine's could end.

An outage lasted longer than every retry, or the engine gave a run up. Such a row would also block
every new request for its target, so it is looked for, not hoped against.
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
from partner_connector.worker.context import Workshop
from partner_connector.worker.sync import progress

# Younger rows may be between their commit and the engine's.
_SETTLED_AFTER = timedelta(seconds=60)
_AT_A_TIME = 100
# A proof has no other end than a verdict: one that is lost again and again is tried rarely.
_LONG_AFTER = timedelta(hours=1)

log = structlog.get_logger()

Row = TypeVar("Row", SyncJob, TokenValidation)


async def revive_jobs(shop: Workshop) -> None:
    """Jobs whose attempt the engine no longer knows or has ended."""
    before = now() - _SETTLED_AFTER
    unfinished = (
        select(SyncJob)
        .where(SyncJob.status.in_(["queued", "running", "waiting"]))
        .where(SyncJob.own_work_done.is_(False), SyncJob.updated_at < before)
        .where(or_(SyncJob.resume_at.is_(None), SyncJob.resume_at < before))
        .order_by(SyncJob.updated_at)
    )
    for job in await _lost(shop, unfinished):
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
    before, resting = now() - _SETTLED_AFTER, TokenValidation.resume_at
    unfinished = (
        select(TokenValidation)
        .where(TokenValidation.status != "completed", TokenValidation.created_at < before)
        .where(or_(resting.is_(None), resting < before))
        .order_by(TokenValidation.id)
    )
    for validation in await _lost(shop, unfinished):
        await _revive_validation(shop, validation)


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


async def _lost(shop: Workshop, unfinished: Select[Row]) -> list[Row]:
    """Return the first of these rows whose attempt the engine does not work on."""
    async with shop.database.reading() as session:
        rows = (await session.scalars(unfinished.limit(_AT_A_TIME))).all()
    lost = await runs.lost([_run_id(row) for row in rows])
    return [row for row in rows if _run_id(row) in lost]


def _run_id(row: SyncJob | TokenValidation) -> str:
    workflow = row.task if isinstance(row, SyncJob) else tasks.VALIDATE_TOKEN
    return tasks.run_id(workflow, str(row.id), row.attempt)
