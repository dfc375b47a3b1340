"""Decisions on the plan of a halted job. `worker/sync/apply/safeguard.py` writes the plan.

After an approval the worker makes the plan again. If its digest differs from the approved digest,
the job halts again. So a worker applies only changes that were shown to the caller.
"""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.clock import now
from partner_connector.db.models import SyncJob
from partner_connector.durable import tasks
from partner_connector.durable.engine import WorkQueue
from partner_connector.errors import Conflict, NotFound
from partner_connector.features.audit.service import Recorder
from partner_connector.features.sync_jobs.cancelling import mark_cancelled
from partner_connector.features.sync_jobs.recording import recorded
from partner_connector.features.sync_jobs.repository import SyncJobRepository
from partner_connector.features.sync_jobs.roll_up import update_parent
from partner_connector.ids import encode


class NoPlan(NotFound):
    """The safeguard never halted this job."""

    code = "no_plan"
    title = "The job has no plan"
    description = "Read the job to see its status. Only a job that the safeguard halted has a plan."


class PlanNotOpen(Conflict):
    """The job is not halted: its plan was approved or rejected, or the job has ended."""

    code = "plan_not_open"
    title = "The plan is no longer open"
    description = "Read the job to see its present status. There is no plan to decide now."


class PlanStale(Conflict):
    """The plan expired, the partner's token was replaced, or the digest is of another plan."""

    code = "plan_stale"
    title = "The plan is out of date"
    description = (
        "Read the plan again and approve its new digest. If its status is `expired` or `stale`, "
        "reject it and check the partner for updates again."
    )


def plan_of(job: SyncJob) -> dict[str, Any]:
    """Return the job's plan. Raises `NoPlan`."""
    if job.plan is None:
        raise NoPlan
    return job.plan


def plan_status(job: SyncJob, active_token_id: uuid.UUID | None, at: datetime) -> str:
    """Return `open` if the plan can be approved at this time, else the status that prevents it."""
    plan = plan_of(job)
    if job.approved_plan == plan["digest"]:
        return "approved"
    if job.status != "halted":
        return "closed"
    if job.plan_expires_at is None or job.plan_expires_at <= at:
        return "expired"
    made_with = plan["token_id"]
    if made_with != (None if active_token_id is None else str(active_token_id)):
        return "stale"
    return "open"


async def approve(
    session: AsyncSession,
    queue: WorkQueue,
    audit: Recorder,
    job_id: uuid.UUID,
    digest: str | None,
) -> SyncJob:
    """Approve the plan and enqueue its application. A second approval has no further effect.

    Raises `NotFound`, `NoPlan`, `PlanNotOpen` and `PlanStale`.
    """
    jobs = SyncJobRepository(session, audit.workspace_id)
    job = await jobs.lock(job_id)
    plan = _require_plan(job, digest)
    status = plan_status(job, await jobs.active_token_id(job), now())
    if status == "approved":
        return job
    if status == "closed":
        raise PlanNotOpen
    if status != "open":
        raise PlanStale
    assert job.partner_id is not None
    async with recorded(session, job):
        job.approved_plan = plan["digest"]
        job.status = "running"
        job.attempt += 1
        job.phase, job.done, job.total = "applying", 0, None
    await queue.enqueue(session, tasks.sync(job.task, job.id, job.partner_id, attempt=job.attempt))
    await update_parent(session, job)
    await _record(session, audit, "sync_plan.approved", job, plan)
    return job


async def reject(
    session: AsyncSession, audit: Recorder, job_id: uuid.UUID, digest: str | None
) -> SyncJob:
    """Cancel the halted job without applying its plan, which may be expired or stale.

    Raises `NotFound`, `NoPlan` and `PlanNotOpen`, and `PlanStale` for another digest.
    """
    job = await SyncJobRepository(session, audit.workspace_id).lock(job_id)
    plan = _require_plan(job, digest)
    if job.status != "halted":
        raise PlanNotOpen
    await mark_cancelled(session, job)
    await update_parent(session, job)
    await _record(session, audit, "sync_plan.rejected", job, plan)
    return job


def _require_plan(job: SyncJob, digest: str | None) -> dict[str, Any]:
    plan = plan_of(job)
    if digest not in {None, plan["digest"]}:
        raise PlanStale
    return plan


async def _record(
    session: AsyncSession, audit: Recorder, action: str, job: SyncJob, plan: dict[str, Any]
) -> None:
    details = {name: plan[name] for name in ("digest", "users", "removals")}
    await audit.record(session, action=action, subject=encode("job", job.id), details=details)
