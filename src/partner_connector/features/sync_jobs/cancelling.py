"""Cancellation of jobs. The worker sees it in its next transaction and deletes the staging."""

import uuid

from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.clock import now
from partner_connector.db.models import Partner, SyncJob
from partner_connector.db.models.sync_job import UNFINISHED
from partner_connector.errors import Conflict
from partner_connector.features.audit.service import Recorder
from partner_connector.features.sync_jobs.recording import recorded
from partner_connector.features.sync_jobs.repository import SyncJobRepository
from partner_connector.features.sync_jobs.roll_up import roll_up, update_parent
from partner_connector.ids import encode


class JobAlreadyEnded(Conflict):
    """The job completed or failed before the request arrived."""

    code = "job_already_ended"
    title = "The job has already ended"
    description = "Read the job to see its result. There is nothing to cancel."


async def cancel(session: AsyncSession, audit: Recorder, job_id: uuid.UUID) -> SyncJob:
    """Cancel the job. For a parent job with unfinished children, cancel these children.

    Cancelling a cancelled job has no effect. Raises `NotFound` and `JobAlreadyEnded`.
    """
    job, children = await SyncJobRepository(session, audit.workspace_id).lock_with_children(job_id)
    if job.status == "cancelled":
        return job
    if job.status not in UNFINISHED and not children:
        raise JobAlreadyEnded
    previous_status = job.status
    for unfinished in children or [job]:
        await mark_cancelled(session, unfinished)
    await session.flush()
    if children:
        await roll_up(session, job.id)
    else:
        await update_parent(session, job)
    await audit.record(
        session,
        action="sync_job.cancelled",
        subject=encode("job", job.id),
        details={"was": previous_status, "cancelled_checks": len(children)},
    )
    return job


async def cancel_halted_job(session: AsyncSession, partner: Partner) -> None:
    """Cancel the halted check of a partner whose token was just replaced or removed.

    The plan can no longer be approved, and the halted job would prevent the next check. The caller
    must have called `lock_partner_and_plan`.
    """
    job = await SyncJobRepository(session, partner.workspace_id).halted(partner.id)
    if job is not None:
        await mark_cancelled(session, job)
        await session.flush()
        await update_parent(session, job)


async def mark_cancelled(session: AsyncSession, job: SyncJob) -> None:
    """Set the job to `cancelled`, whatever its status is, and record the event."""
    async with recorded(session, job):
        job.status = "cancelled"
        job.waiting_reason = None
        job.resume_at = None
        job.finished_at = now()
