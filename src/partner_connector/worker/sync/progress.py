"""State changes of a running job's row: begin, progress, park, fail, finish.

Every function runs in the caller's transaction. `running_job` and `begin` return None when the
attempt is over. So a worker process that was considered lost cannot change the job when it returns.
"""

import uuid
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.clock import now
from partner_connector.db.locks import lock_job, lock_partner_jobs
from partner_connector.db.models import StagedAsset, StagedGrant, SyncJob
from partner_connector.db.models.sync_job import UNFINISHED
from partner_connector.db.sql import storable_text
from partner_connector.durable import tasks
from partner_connector.durable.engine import WorkQueue
from partner_connector.features.sync_jobs.recording import recorded
from partner_connector.features.sync_jobs.roll_up import update_parent
from partner_connector.graph import GraphError, TokenDead
from partner_connector.worker.backoff import Pause, pause_after_crash

_MAX_WARNINGS = 100
# How long a later attempt of the same job reuses the reads of an earlier attempt.
_REUSE_READS_FOR = timedelta(hours=1)


async def running_job(session: AsyncSession, job_id: uuid.UUID, attempt: int) -> SyncJob | None:
    """Lock and return the job's row, or None if this attempt is over."""
    job = await lock_job(session, job_id)
    if job is None or job.attempt != attempt or job.status != "running":
        return None
    return job


async def begin(session: AsyncSession, job_id: uuid.UUID, attempt: int) -> SyncJob | None:
    """Start this attempt, or continue it after a crash. Return None if the attempt is over."""
    job = await lock_job(session, job_id)
    if job is None or job.attempt != attempt or job.status not in {"queued", "waiting", "running"}:
        return None
    if job.approved_plan is not None:
        # An approved plan is applied as it was read; nothing is read again.
        listed_now = update(StagedAsset).where(StagedAsset.job_id == job.id)
        await session.execute(listed_now.values(listed_in=job.attempt))
    elif job.status != "running":
        await _reset_unreliable_reads(session, job)
    async with recorded(session, job):
        job.status = "running"
        job.waiting_reason = None
        job.resume_at = None
        job.started_at = job.started_at or now()
        if job.approved_plan is None:
            # This attempt may be able to read lists that an earlier attempt could not.
            job.warnings = []
            job.partial = False
    await update_parent(session, job)
    return job


async def _reset_unreliable_reads(session: AsyncSession, job: SyncJob) -> None:
    """Mark assets as unread that were refused, incomplete, or read too long ago.

    Deletes their staged direct grants.
    """
    unreliable = or_(StagedAsset.state != "read", StagedAsset.read_at < now() - _REUSE_READS_FOR)
    await session.execute(
        update(StagedAsset)
        .where(StagedAsset.job_id == job.id, unreliable)
        .values(state="unread", is_unchanged=False)
    )
    is_read_again = exists().where(
        StagedAsset.job_id == StagedGrant.job_id,
        StagedAsset.type == StagedGrant.asset_type,
        StagedAsset.meta_id == StagedGrant.asset_meta_id,
        StagedAsset.state == "unread",
    )
    await session.execute(
        delete(StagedGrant).where(
            StagedGrant.job_id == job.id, StagedGrant.via == "direct", is_read_again
        )
    )


async def discard_reads(session: AsyncSession, job: SyncJob) -> None:
    """Make the next attempt read everything again, and drop the plan."""
    job.read_with = job.approved_plan = job.plan = job.plan_expires_at = None
    await session.execute(
        update(StagedAsset).where(StagedAsset.job_id == job.id).values(state="unread")
    )


async def lock_partner_sync_jobs(session: AsyncSession, job: SyncJob) -> None:
    """Lock the unfinished sync jobs of this integration's partners, before the partners."""
    await lock_partner_jobs.all(
        session,
        SyncJob.integration_id == job.integration_id,
        SyncJob.partner_id.is_not(None),
        SyncJob.status.in_(UNFINISHED),
    )


async def set_progress(
    session: AsyncSession, job: SyncJob, phase: str, *, done: int = 0, total: int | None = None
) -> None:
    """Store the job's phase and progress."""
    async with recorded(session, job):
        job.phase, job.done, job.total = phase, done, total


def warn(job: SyncJob, code: str, edge: str | None, detail: str) -> None:
    """Add a warning, and mark the job as partial: it could not read or confirm everything."""
    job.partial = True
    add_warning(job, code, edge, detail)


def add_warning(job: SyncJob, code: str, edge: str | None, detail: str) -> None:
    """Add a warning without marking the job as partial. A job holds at most 100 warnings."""
    warning = {"code": code, "edge": edge, "detail": storable_text(detail, 1000)}
    if warning not in job.warnings and len(job.warnings) < _MAX_WARNINGS:
        # Assign a new list: SQLAlchemy does not see a change inside the old list.
        job.warnings = [*job.warnings, warning]


async def park(session: AsyncSession, queue: WorkQueue, job: SyncJob, pause: Pause) -> None:
    """Make the job wait until `resume_at` and enqueue the next attempt for that time."""
    async with recorded(session, job):
        job.status = "waiting"
        job.waiting_reason = pause.reason
        job.resume_at = pause.resume_at
        job.attempt += 1
    target = job.partner_id or job.integration_id
    await queue.enqueue(
        session,
        tasks.sync(job.task, job.id, target, attempt=job.attempt, not_before=pause.resume_at),
    )
    await update_parent(session, job)


async def fail(session: AsyncSession, job: SyncJob, error: dict[str, Any]) -> None:
    """End the job without applying anything. Its staging rows are deleted later."""
    async with recorded(session, job):
        job.status = "failed"
        job.error = error
        job.finished_at = now()
    await update_parent(session, job)


async def retry_after_crash(session: AsyncSession, queue: WorkQueue, job: SyncJob) -> None:
    """Park the job after an internal error, or fail it after too many crashes."""
    job.crashes += 1
    pause = pause_after_crash(job.crashes)
    if pause is not None:
        await park(session, queue, job, pause)
        return
    failure = own_failure(
        "internal_error",
        error_class="internal",
        user_action="contact_support",
        detail="An internal error stopped the check for updates. The worker's log shows the error.",
    )
    await fail(session, job, failure)


async def finish(session: AsyncSession, job: SyncJob) -> None:
    """Complete the job, in the transaction that applied the plan."""
    async with recorded(session, job):
        job.status = "completed"
        job.phase, job.done, job.total = "finished", 0, None
        job.finished_at = now()
    await update_parent(session, job)


def graph_failure(error: GraphError) -> dict[str, Any]:
    """Return a job's `error` for an error of the Graph API."""
    code = "token_dead" if isinstance(error, TokenDead) else f"meta_{error.error_class}"
    return {
        "code": code,
        "class": str(error.error_class),
        "user_action": error.user_action,
        "detail": storable_text(error.message, 1000),
        "meta": {
            "code": error.code,
            "subcode": error.subcode,
            "fbtrace_id": storable_text(error.fbtrace_id or "", 100) or None,
        },
    }


def own_failure(code: str, *, error_class: str, user_action: str, detail: str) -> dict[str, Any]:
    """Return a job's `error` for a failure without an error of the Graph API."""
    return {
        "code": code,
        "class": error_class,
        "user_action": user_action,
        "detail": detail,
        "meta": {"code": None, "subcode": None, "fbtrace_id": None},
    }


async def staged_assets_left(session: AsyncSession, job: SyncJob) -> tuple[int, int]:
    """Return how many of this attempt's assets are read, and how many there are."""
    counts = select(func.count(), func.count().filter(StagedAsset.state == "unread")).where(
        StagedAsset.job_id == job.id, StagedAsset.listed_in == job.attempt
    )
    total, unread = (await session.execute(counts)).one()
    return total - unread, total
