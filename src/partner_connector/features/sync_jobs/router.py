"""`/v1/sync-jobs`, and the check for updates of one partner."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from partner_connector.db.models import SyncJob
from partner_connector.db.models.sync_job import UNFINISHED
from partner_connector.features.audit.dependency import RecorderDep
from partner_connector.features.partners.repository import PartnerRepository
from partner_connector.features.sync_jobs import service
from partner_connector.features.sync_jobs.cancelling import cancel
from partner_connector.features.sync_jobs.repository import SyncJobFilter, SyncJobRepository
from partner_connector.features.sync_jobs.schemas import (
    SyncJobCreate,
    SyncJobPage,
    SyncJobView,
    sync_job_view,
)
from partner_connector.ids import PartnerId, SyncJobId, encode
from partner_connector.web import prefer_wait
from partner_connector.web.conditional import KnownTagsDep, tell
from partner_connector.web.context import ApiContext
from partner_connector.web.dependencies import (
    MAY_BE_LEFT_OUT,
    ContextDep,
    OnceDep,
    PageDep,
    ReadSession,
    SyncsReader,
    SyncsRunner,
    WaitSeconds,
)

router = APIRouter(prefix="/v1", tags=["Sync jobs"])

FINISHED_WHILE_WAITING: dict[int | str, dict[str, Any]] = {
    200: {"model": SyncJobView, "description": "Finished while waiting."}
}


@router.post(
    "/partners/{partner_id}/sync-jobs",
    operation_id="startPartnerSyncJob",
    summary="Check a partner for updates",
    status_code=202,
    responses=FINISHED_WHILE_WAITING,
    dependencies=[MAY_BE_LEFT_OUT],
)
async def start_partner_sync_job(
    partner_id: PartnerId,
    caller: SyncsRunner,
    once: OnceDep,
    context: ContextDep,
    response: Response,
    wait: WaitSeconds,
    _body: SyncJobCreate | None = None,
) -> SyncJobView:
    """Imports the partner's users with access to shared assets. While a check of this partner is
    unfinished, asking again answers that one.
    """
    async with once.writing() as session:
        partners = PartnerRepository(session, caller.workspace_id)
        partner, standing = await partners.get_with_standing(partner_id)
        if standing.status == "pending_onboarding":
            raise service.PartnerNotConnected
        job = await service.request_partner_sync(session, context.queue, partner, trigger="api")
        once.remember(accepted_job(response, job), held_for=wait)
    return await once.conclude(await finished_job(context, response, job, wait))


def accepted_job(response: Response, job: SyncJob) -> SyncJobView:
    """The job as it was made or joined."""
    prefer_wait.accepted(response, location=f"/v1/sync-jobs/{encode('job', job.id)}")
    return sync_job_view(job)


async def finished_job(
    context: ApiContext, response: Response, job: SyncJob, wait: int
) -> SyncJobView:
    """The job once it is finished, or as it is when the client has waited long enough."""

    async def read() -> SyncJob:
        async with context.database.reading() as session:
            return await SyncJobRepository(session, job.workspace_id).get(job.id)

    def is_at_rest(row: SyncJob) -> bool:
        return _has_ended(row) or _waits_for_an_answer(row)

    current = await prefer_wait.until(job, is_at_rest, read, wait, context.draining)
    prefer_wait.held(response, waited=wait, is_final=_has_ended(current))
    return sync_job_view(current)


def _has_ended(job: SyncJob) -> bool:
    # A parent is `failed` with its first failed child, and finished with its last one.
    return job.status not in UNFINISHED and job.finished_at is not None


def _waits_for_an_answer(job: SyncJob) -> bool:
    # A parent is `halted` with its first halted child, while others may still run.
    is_parent = job.partner_id is None
    return job.status == "halted" and (not is_parent or job.finished_at is not None)


@router.get(
    "/sync-jobs",
    operation_id="listSyncJobs",
    summary="List sync jobs",
    response_model=SyncJobPage,
)
async def list_sync_jobs(
    caller: SyncsReader,
    session: ReadSession,
    page: PageDep,
    only: Annotated[SyncJobFilter, Query()],
) -> Response:
    """Newest first, parents and children alike."""
    rows, cursor = await SyncJobRepository(session, caller.workspace_id).page(page, only)
    return page.answer([sync_job_view(row) for row in rows], cursor)


@router.get("/sync-jobs/{job_id}", operation_id="getSyncJob", summary="Get a sync job")
async def get_sync_job(
    job_id: SyncJobId, caller: SyncsReader, session: ReadSession, known: KnownTagsDep
) -> SyncJobView:
    """Status, progress, counts and, where it did not complete, why.

    A job is kept for 30 days after its end, unless the operator chose otherwise. The last one of a
    partner or an integration stays, and the last one that completed.
    """
    job = await SyncJobRepository(session, caller.workspace_id).get(job_id)
    return known.answer(sync_job_view(job))


@router.post(
    "/sync-jobs/{job_id}/cancel", operation_id="cancelSyncJob", summary="Cancel a sync job"
)
async def cancel_sync_job(
    job_id: SyncJobId,
    _caller: SyncsRunner,
    audit: RecorderDep,
    once: OnceDep,
    response: Response,
) -> SyncJobView:
    """Takes effect at once: what was read is not applied. With a check of all partners those that
    are not done yet are cancelled; what has been applied stays. Cancelling again changes nothing.
    """
    async with once.writing() as session:
        job = await cancel(session, audit, job_id)
        return once.remember(tell(response, sync_job_view(job)))
