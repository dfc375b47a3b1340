"""Asking for a check for updates. One unfinished job a target: a second request joins the first."""

import uuid

from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.models import Integration, Partner, SyncJob
from partner_connector.durable import tasks
from partner_connector.durable.engine import WorkQueue
from partner_connector.errors import Conflict
from partner_connector.features.sync_jobs.recording import record_beginning
from partner_connector.features.sync_jobs.repository import SyncJobRepository


class PartnerNotConnected(Conflict):
    """Without the partner's token its people cannot be seen."""

    code = "partner_not_connected"
    title = "The partner is not connected"
    description = "Connect the partner with a token of its own before checking it for updates."


async def request_integration_sync(
    session: AsyncSession, queue: WorkQueue, integration: Integration, *, trigger: str
) -> SyncJob:
    """Discover partners and check the connected ones."""
    job = SyncJob(
        workspace_id=integration.workspace_id,
        integration_id=integration.id,
        task=tasks.SYNC_INTEGRATION,
        trigger=trigger,
    )
    return await _join_or_start(session, queue, job, target_id=integration.id)


async def request_partner_sync(
    session: AsyncSession,
    queue: WorkQueue,
    partner: Partner,
    *,
    trigger: str,
    parent_id: uuid.UUID | None = None,
) -> SyncJob:
    """Check one partner. The caller has made sure that it is connected."""
    job = SyncJob(
        workspace_id=partner.workspace_id,
        integration_id=partner.integration_id,
        partner_id=partner.id,
        parent_id=parent_id,
        task=tasks.SYNC_PARTNER,
        trigger=trigger,
    )
    return await _join_or_start(session, queue, job, target_id=partner.id)


async def _join_or_start(
    session: AsyncSession, queue: WorkQueue, job: SyncJob, *, target_id: uuid.UUID
) -> SyncJob:
    jobs = SyncJobRepository(session, job.workspace_id)
    unfinished = await jobs.unfinished(job.integration_id, job.partner_id)
    if unfinished is not None:
        return unfinished
    if await jobs.add(job):
        record_beginning(session, job)
        await queue.enqueue(session, tasks.sync(job.task, job.id, target_id))
        return job
    # Another request was faster; its check may have ended since, and then this one can start.
    return await _join_or_start(session, queue, job, target_id=target_id)
