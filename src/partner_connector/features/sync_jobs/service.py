"""Requests for sync jobs. A target has one unfinished job: a second request returns that job."""

import uuid

from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.models import Integration, Partner, SyncJob
from partner_connector.durable import tasks
from partner_connector.durable.engine import WorkQueue
from partner_connector.errors import Conflict
from partner_connector.features.sync_jobs.recording import record_first_event
from partner_connector.features.sync_jobs.repository import SyncJobRepository


class PartnerNotConnected(Conflict):
    """The partner has no active token. A check for updates needs it to read from Meta."""

    code = "partner_not_connected"
    title = "The partner is not connected"
    description = "Connect the partner with its token first, then check it for updates."


async def request_integration_sync(
    session: AsyncSession, queue: WorkQueue, integration: Integration, *, trigger: str
) -> SyncJob:
    """Create the job that lists all partners and checks the connected partners.

    Return the unfinished job of this kind instead if there is one.
    """
    job = SyncJob(
        workspace_id=integration.workspace_id,
        integration_id=integration.id,
        task=tasks.SYNC_INTEGRATION,
        trigger=trigger,
    )
    return await _start_or_return_unfinished(session, queue, job, target_id=integration.id)


async def request_partner_sync(
    session: AsyncSession,
    queue: WorkQueue,
    partner: Partner,
    *,
    trigger: str,
    parent_id: uuid.UUID | None = None,
) -> SyncJob:
    """Create the job that checks one partner, or return its unfinished job.

    The caller ensures that the partner is connected.
    """
    job = SyncJob(
        workspace_id=partner.workspace_id,
        integration_id=partner.integration_id,
        partner_id=partner.id,
        parent_id=parent_id,
        task=tasks.SYNC_PARTNER,
        trigger=trigger,
    )
    return await _start_or_return_unfinished(session, queue, job, target_id=partner.id)


async def _start_or_return_unfinished(
    session: AsyncSession, queue: WorkQueue, job: SyncJob, *, target_id: uuid.UUID
) -> SyncJob:
    jobs = SyncJobRepository(session, job.workspace_id)
    unfinished = await jobs.unfinished(job.integration_id, job.partner_id)
    if unfinished is not None:
        return unfinished
    if await jobs.add(job):
        record_first_event(session, job)
        await queue.enqueue(session, tasks.sync(job.task, job.id, target_id))
        return job
    # Another request stored its job first. If that job has ended since, this job can start.
    return await _start_or_return_unfinished(session, queue, job, target_id=target_id)
