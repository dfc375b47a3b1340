"""Operations of `/v1/sync-jobs`, and the check for updates of one partner."""

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
from partner_connector.web.conditional import KnownTagsDep, with_etag
from partner_connector.web.context import ApiContext
from partner_connector.web.dependencies import (
    OPTIONAL_BODY,
    ContextDep,
    IdempotentRequestDep,
    PageDep,
    ReadSession,
    SyncsReader,
    SyncsRunner,
    WaitSeconds,
)

router = APIRouter(prefix="/v1", tags=["Sync jobs"])

FINISHED_WHILE_WAITING: dict[int | str, dict[str, Any]] = {
    200: {"model": SyncJobView, "description": "The job ended within the requested wait."}
}


@router.post(
    "/partners/{partner_id}/sync-jobs",
    operation_id="startPartnerSyncJob",
    summary="Check a partner for updates",
    status_code=202,
    responses=FINISHED_WHILE_WAITING,
    dependencies=[OPTIONAL_BODY],
)
async def start_partner_sync_job(
    partner_id: PartnerId,
    caller: SyncsRunner,
    idempotent: IdempotentRequestDep,
    context: ContextDep,
    response: Response,
    wait: WaitSeconds,
    _body: SyncJobCreate | None = None,
) -> SyncJobView:
    """Start a check for updates of one partner: it imports the partner's users with access to
    shared assets. Use it when you do not want to wait for the daily check. The partner must be
    connected, else the request fails with `partner_not_connected`. If a check of this partner is
    unfinished, this operation returns that job and starts no new job.
    """
    async with idempotent.writing() as session:
        partners = PartnerRepository(session, caller.workspace_id)
        partner, standing = await partners.get_with_onboarding_state(partner_id)
        if standing.status == "pending_onboarding":
            raise service.PartnerNotConnected
        job = await service.request_partner_sync(session, context.queue, partner, trigger="api")
        idempotent.store_response(accepted_job(response, job), held_for=wait)
    return await idempotent.replace_response(await wait_for_job(context, response, job, wait))


def accepted_job(response: Response, job: SyncJob) -> SyncJobView:
    """Convert a new or unfinished job to the response model, and set the headers of a `202`."""
    prefer_wait.set_accepted_headers(response, location=f"/v1/sync-jobs/{encode('job', job.id)}")
    return sync_job_view(job)


async def wait_for_job(
    context: ApiContext, response: Response, job: SyncJob, wait: int
) -> SyncJobView:
    """Wait until the job has ended or halted, at most `wait` seconds, and return its state."""

    async def read() -> SyncJob:
        async with context.database.reading() as session:
            return await SyncJobRepository(session, job.workspace_id).get(job.id)

    def is_settled(row: SyncJob) -> bool:
        return _has_ended(row) or _is_halted(row)

    current = await prefer_wait.wait_until_final(job, is_settled, read, wait, context.stopping)
    prefer_wait.set_waited_headers(response, waited=wait, is_final=_has_ended(current))
    return sync_job_view(current)


def _has_ended(job: SyncJob) -> bool:
    # A parent becomes `failed` with its first failed child, but it ends with its last child.
    return job.status not in UNFINISHED and job.finished_at is not None


def _is_halted(job: SyncJob) -> bool:
    # A parent can be `halted` because of one child while its other children still run.
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
    filters: Annotated[SyncJobFilter, Query()],
) -> Response:
    """Return the sync jobs of the workspace, newest first: checks of all partners (parent jobs) and
    checks of one partner (child jobs of such a check, or jobs that were started alone). Use it to
    see what is running and what failed. A job must match all filters.
    """
    rows, cursor = await SyncJobRepository(session, caller.workspace_id).page(page, filters)
    return page.answer([sync_job_view(row) for row in rows], cursor)


@router.get("/sync-jobs/{job_id}", operation_id="getSyncJob", summary="Get a sync job")
async def get_sync_job(
    job_id: SyncJobId, caller: SyncsReader, session: ReadSession, known: KnownTagsDep
) -> SyncJobView:
    """Return the status, progress and counts of a job. `error` gives the reason why a job did not
    complete, and `warnings` list the data that it could not read.

    A job is deleted 30 days after its end, unless the operator set another time. The last job and
    the last completed job of each partner and integration are kept.
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
    idempotent: IdempotentRequestDep,
    response: Response,
) -> SyncJobView:
    """Cancel a job at once: the data that it has read is not applied. If you cancel a check of all
    partners, its unfinished checks of single partners are cancelled too. Changes that are already
    applied stay. Cancelling a cancelled job has no further effect. Fails with `job_already_ended`
    when the job has completed or failed, unless it is a check of all partners of which a check of a
    single partner is unfinished.
    """
    async with idempotent.writing() as session:
        job = await cancel(session, audit, job_id)
        return idempotent.store_response(with_etag(response, sync_job_view(job)))
