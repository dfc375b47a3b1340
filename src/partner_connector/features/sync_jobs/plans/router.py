"""Operations of `/v1/sync-jobs/{id}/plan`: read, approve and reject the plan of a halted job."""

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
    wait_for_job,
)
from partner_connector.features.sync_jobs.schemas import SyncJobView, sync_job_view
from partner_connector.ids import SyncJobId
from partner_connector.web.conditional import with_etag
from partner_connector.web.dependencies import (
    OPTIONAL_BODY,
    ContextDep,
    IdempotentRequestDep,
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
    """Return every change that the halted job would make, in the order of the plan. None of these
    changes is applied yet. Use this operation to decide whether you approve or reject the plan.
    Fails with `no_plan` if the safeguard never halted the job.
    """
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
    dependencies=[OPTIONAL_BODY],
)
async def approve_sync_plan(
    job_id: SyncJobId,
    _caller: SyncsApprover,
    audit: RecorderDep,
    idempotent: IdempotentRequestDep,
    context: ContextDep,
    response: Response,
    wait: WaitSeconds,
    body: SyncPlanDecision | None = None,
) -> SyncJobView:
    """Approve the plan: the job continues and applies its changes. Send the `digest` of the plan
    that you have read: the request fails with `plan_stale` if the job now has another plan. If the
    changes are different when the worker applies them, the job halts again with a new plan. Fails
    with `plan_not_open` or `plan_stale` when the plan can no longer be approved.
    """
    digest = body.digest if body else None
    async with idempotent.writing() as session:
        job = await service.approve(session, context.queue, audit, job_id, digest)
        idempotent.store_response(accepted_job(response, job), held_for=wait)
    return await idempotent.replace_response(await wait_for_job(context, response, job, wait))


@router.post(
    "/reject",
    operation_id="createSyncPlanRejection",
    summary="Reject the plan of a halted job",
    dependencies=[OPTIONAL_BODY],
)
async def reject_sync_plan(
    job_id: SyncJobId,
    _caller: SyncsApprover,
    audit: RecorderDep,
    idempotent: IdempotentRequestDep,
    response: Response,
    body: SyncPlanDecision | None = None,
) -> SyncJobView:
    """Reject the plan: the job is cancelled, and none of its changes is applied. Send the `digest`
    of the plan that you have read: the request fails with `plan_stale` if the job now has another
    plan. You can also reject an expired or stale plan. Fails with `plan_not_open` if the job is not
    halted.
    """
    digest = body.digest if body else None
    async with idempotent.writing() as session:
        job = await service.reject(session, audit, job_id, digest)
        return idempotent.store_response(with_etag(response, sync_job_view(job)))
