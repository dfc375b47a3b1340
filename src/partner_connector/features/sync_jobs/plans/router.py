"""`/v1/sync-jobs/{id}/plan`: what the safeguard halted, for somebody to decide."""

from fastapi import APIRouter, Response

from partner_connector.clock import now
from partner_connector.features.audit.dependency import RecorderDep
from partner_connector.features.sync_jobs.plans import service
from partner_connector.features.sync_jobs.plans.schemas import (
    SyncPlanDecision,
    SyncPlanView,
    sync_plan_view,
)
from partner_connector.features.sync_jobs.repository import SyncJobRepository
from partner_connector.features.sync_jobs.router import (
    FINISHED_WHILE_WAITING,
    accepted_job,
    finished_job,
)
from partner_connector.features.sync_jobs.schemas import SyncJobView, sync_job_view
from partner_connector.ids import SyncJobId
from partner_connector.web.conditional import tell
from partner_connector.web.dependencies import (
    MAY_BE_LEFT_OUT,
    ContextDep,
    OnceDep,
    PageDep,
    ReadSession,
    SyncsApprover,
    SyncsReader,
    WaitSeconds,
)

router = APIRouter(prefix="/v1/sync-jobs/{job_id}/plan", tags=["Sync jobs"])


@router.get("", operation_id="getSyncPlan", summary="Get the plan of a halted job")
async def get_sync_plan(
    job_id: SyncJobId, caller: SyncsReader, session: ReadSession, page: PageDep
) -> SyncPlanView:
    """Every change that the job would make, in its order. Nothing of it has been applied."""
    jobs = SyncJobRepository(session, caller.workspace_id)
    job = await jobs.get(job_id)
    status = service.plan_status(job, await jobs.active_token_id(job), now())
    changes, cursor = await jobs.plan_page(page, job)
    page.link_next(cursor)
    return sync_plan_view(job, service.plan_of(job), status, changes, cursor)


@router.post(
    "/approve",
    operation_id="createSyncPlanApproval",
    summary="Approve the plan of a halted job",
    status_code=202,
    responses=FINISHED_WHILE_WAITING,
    dependencies=[MAY_BE_LEFT_OUT],
)
async def approve_sync_plan(
    job_id: SyncJobId,
    _caller: SyncsApprover,
    audit: RecorderDep,
    once: OnceDep,
    context: ContextDep,
    response: Response,
    wait: WaitSeconds,
    body: SyncPlanDecision | None = None,
) -> SyncJobView:
    """The job goes on and carries the plan out, if it is still the same plan by then; else it
    halts again with the new one.
    """
    digest = body.digest if body else None
    async with once.writing() as session:
        job = await service.approve(session, context.queue, audit, job_id, digest)
        once.remember(accepted_job(response, job), held_for=wait)
    return await once.conclude(await finished_job(context, response, job, wait))


@router.post(
    "/reject",
    operation_id="createSyncPlanRejection",
    summary="Reject the plan of a halted job",
    dependencies=[MAY_BE_LEFT_OUT],
)
async def reject_sync_plan(
    job_id: SyncJobId,
    _caller: SyncsApprover,
    audit: RecorderDep,
    once: OnceDep,
    response: Response,
    body: SyncPlanDecision | None = None,
) -> SyncJobView:
    """The job is cancelled and nothing of its plan is applied."""
    digest = body.digest if body else None
    async with once.writing() as session:
        job = await service.reject(session, audit, job_id, digest)
        return once.remember(tell(response, sync_job_view(job)))
