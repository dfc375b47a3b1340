"""A job's own row while it runs: begun, moved on, parked, failed, finished.

Every function takes part in the caller's transaction and does nothing to a job that is no longer
this attempt's: a worker that was thought dead and comes back cannot move it.
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
from partner_connector.db.sql import clean
from partner_connector.durable import tasks
from partner_connector.durable.engine import WorkQueue
from partner_connector.features.sync_jobs.recording import recorded
from partner_connector.features.sync_jobs.roll_up import tell_parent
from partner_connector.graph import GraphError, TokenDead
from partner_connector.worker.backoff import Pause, pause_after_crash

_MOST_WARNINGS = 100
# What an earlier attempt of the same job read is not asked for again this soon.
_READ_STAYS_TRUE_FOR = timedelta(hours=1)


async def running_job(session: AsyncSession, job_id: uuid.UUID, attempt: int) -> SyncJob | None:
    """The job's row, locked, if this attempt may still work on it."""
    job = await lock_job(session, job_id)
    if job is None or job.attempt != attempt or job.status != "running":
        return None
    return job


async def begin(session: AsyncSession, job_id: uuid.UUID, attempt: int) -> SyncJob | None:
    """Start this attempt, or go on with it after a crash. None if it is not its turn."""
    job = await lock_job(session, job_id)
    if job is None or job.attempt != attempt or job.status not in {"queued", "waiting", "running"}:
        return None
    if job.approved_plan is not None:
        # An approved plan is carried out as it was read; nothing is asked anew.
        listed_now = update(StagedAsset).where(StagedAsset.job_id == job.id)
        await session.execute(listed_now.values(listed_in=job.attempt))
    elif job.status != "running":
        await _read_again_what_is_not_proven(session, job)
    async with recorded(session, job):
        job.status = "running"
        job.waiting_reason = None
        job.resume_at = None
        job.started_at = job.started_at or now()
        if job.approved_plan is None:
            # What an earlier attempt could not read, this one may.
            job.warnings = []
            job.partial = False
    await tell_parent(session, job)
    return job


async def _read_again_what_is_not_proven(session: AsyncSession, job: SyncJob) -> None:
    """At a new attempt: assets that were refused or cut short, or read too long ago."""
    not_proven = or_(
        StagedAsset.state != "read", StagedAsset.read_at < now() - _READ_STAYS_TRUE_FOR
    )
    await session.execute(
        update(StagedAsset)
        .where(StagedAsset.job_id == job.id, not_proven)
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


async def forget_what_was_read(session: AsyncSession, job: SyncJob) -> None:
    """Everything is asked for again by the next attempt, and no plan stands."""
    job.read_with = job.approved_plan = job.plan = job.plan_expires_at = None
    await session.execute(
        update(StagedAsset).where(StagedAsset.job_id == job.id).values(state="unread")
    )


async def lock_children_to_be(session: AsyncSession, job: SyncJob) -> None:
    """Lock the unfinished checks of this integration's partners, before the partners."""
    await lock_partner_jobs.all(
        session,
        SyncJob.integration_id == job.integration_id,
        SyncJob.partner_id.is_not(None),
        SyncJob.status.in_(UNFINISHED),
    )


async def move_on(
    session: AsyncSession, job: SyncJob, phase: str, *, done: int = 0, total: int | None = None
) -> None:
    """Show how far the job is."""
    async with recorded(session, job):
        job.phase, job.done, job.total = phase, done, total


def warn(job: SyncJob, code: str, edge: str | None, detail: str) -> None:
    """Something could not be read: the job is partial, and says why."""
    job.partial = True
    tell(job, code, edge, detail)


def tell(job: SyncJob, code: str, edge: str | None, detail: str) -> None:
    """Something that whoever reads the job should know, though it is as complete as it can be."""
    warning = {"code": code, "edge": edge, "detail": clean(detail, 1000)}
    if warning not in job.warnings and len(job.warnings) < _MOST_WARNINGS:
        # A new list: a change inside the old one would not be seen and stored.
        job.warnings = [*job.warnings, warning]


async def park(session: AsyncSession, queue: WorkQueue, job: SyncJob, pause: Pause) -> None:
    """Rest until `resume_at` and hold no worker: the next attempt is enqueued with a delay."""
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
    await tell_parent(session, job)


async def fail(session: AsyncSession, job: SyncJob, error: dict[str, Any]) -> None:
    """End without applying anything. What was staged is swept up later."""
    async with recorded(session, job):
        job.status = "failed"
        job.error = error
        job.finished_at = now()
    await tell_parent(session, job)


async def retry_after_crash(session: AsyncSession, queue: WorkQueue, job: SyncJob) -> None:
    """After a fault of our own: another attempt, or the end once that was tried often enough."""
    job.crashes += 1
    pause = pause_after_crash(job.crashes)
    if pause is not None:
        await park(session, queue, job, pause)
        return
    failure = own_failure(
        "internal_error",
        error_class="internal",
        user_action="contact_support",
        detail="A fault of ours kept the check from completing; it is logged.",
    )
    await fail(session, job, failure)


async def finish(session: AsyncSession, job: SyncJob) -> None:
    """End after applying, in the transaction that applied."""
    async with recorded(session, job):
        job.status = "completed"
        job.phase, job.done, job.total = "finished", 0, None
        job.finished_at = now()
    await tell_parent(session, job)


def graph_failure(error: GraphError) -> dict[str, Any]:
    """What the job tells about a failure of Meta's."""
    code = "token_dead" if isinstance(error, TokenDead) else f"meta_{error.error_class}"
    return {
        "code": code,
        "class": str(error.error_class),
        "user_action": error.user_action,
        "detail": clean(error.message, 1000),
        "meta": {
            "code": error.code,
            "subcode": error.subcode,
            "fbtrace_id": clean(error.fbtrace_id or "", 100) or None,
        },
    }


def own_failure(code: str, *, error_class: str, user_action: str, detail: str) -> dict[str, Any]:
    """What the job tells about a failure that is not Meta's."""
    return {
        "code": code,
        "class": error_class,
        "user_action": user_action,
        "detail": detail,
        "meta": {"code": None, "subcode": None, "fbtrace_id": None},
    }


async def staged_assets_left(session: AsyncSession, job: SyncJob) -> tuple[int, int]:
    """How many of this attempt's assets are dealt with, and how many there are."""
    counts = select(func.count(), func.count().filter(StagedAsset.state == "unread")).where(
        StagedAsset.job_id == job.id, StagedAsset.listed_in == job.attempt
    )
    total, unread = (await session.execute(counts)).one()
    return total - unread, total
