"""Calling a job off. The worker notices at its next transaction, and clears up what was staged."""

import uuid

from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.clock import now
from partner_connector.db.models import Partner, SyncJob
from partner_connector.db.models.sync_job import UNFINISHED
from partner_connector.errors import Conflict
from partner_connector.features.audit.service import Recorder
from partner_connector.features.sync_jobs.recording import recorded
from partner_connector.features.sync_jobs.repository import SyncJobRepository
from partner_connector.features.sync_jobs.roll_up import roll_up, tell_parent
from partner_connector.ids import encode


class JobAlreadyEnded(Conflict):
    """There is nothing left to cancel."""

    code = "job_already_ended"
    title = "The job has ended already"
    description = "The job completed or failed before it could be cancelled."


async def cancel(session: AsyncSession, audit: Recorder, job_id: uuid.UUID) -> SyncJob:
    """Cancel the job, or its unfinished children where it has done its own part.

    Cancelling a cancelled job changes nothing. Raises `NotFound` and `JobAlreadyEnded`.
    """
    job, children = await SyncJobRepository(session, audit.workspace_id).lock_with_children(job_id)
    if job.status == "cancelled":
        return job
    if job.status not in UNFINISHED and not children:
        raise JobAlreadyEnded
    was = job.status
    for one in children or [job]:
        await mark_cancelled(session, one)
    await session.flush()
    if children:
        await roll_up(session, job.id)
    else:
        await tell_parent(session, job)
    await audit.record(
        session,
        action="sync_job.cancelled",
        subject=encode("job", job.id),
        details={"was": was, "cancelled_checks": len(children)},
    )
    return job


async def call_off_stale_plan(session: AsyncSession, partner: Partner) -> None:
    """End a halted check of the partner, whose token was just replaced or taken away: its plan can
    no longer be approved, and would keep another check from beginning. The caller has called
    `lock_partner_and_plan`.
    """
    job = await SyncJobRepository(session, partner.workspace_id).halted(partner.id)
    if job is not None:
        await mark_cancelled(session, job)
        await session.flush()
        await tell_parent(session, job)


async def mark_cancelled(session: AsyncSession, job: SyncJob) -> None:
    """End the job, whatever it was at."""
    async with recorded(session, job):
        job.status = "cancelled"
        job.waiting_reason = None
        job.resume_at = None
        job.finished_at = now()
