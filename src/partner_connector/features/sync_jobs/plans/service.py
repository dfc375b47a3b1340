"""A plan that the safeguard halted: shown, approved or rejected. `sync.safeguard` writes it.

An approved plan is carried out only if it is still the plan when the worker makes it anew; else the
job halts again. So nobody approves what was not shown.
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
from partner_connector.features.sync_jobs.roll_up import tell_parent
from partner_connector.ids import encode


class NoPlan(NotFound):
    """The job exists, but the safeguard never halted it."""

    code = "no_plan"
    title = "The job has no plan"
    description = "Read the job: only one that the safeguard halted has a plan."


class PlanNotOpen(Conflict):
    """The job no longer waits for an answer."""

    code = "plan_not_open"
    title = "The plan is no longer open"
    description = "Read the job again: it was decided, cancelled or has ended."


class PlanStale(Conflict):
    """What was shown is not what would be done."""

    code = "plan_stale"
    title = "The plan is out of date"
    description = (
        "The plan expired, the partner's token was replaced since, or the digest is another "
        "plan's. Read the plan again, or check the partner anew."
    )


def plan_of(job: SyncJob) -> dict[str, Any]:
    """The job's plan. Raises `NoPlan`."""
    if job.plan is None:
        raise NoPlan
    return job.plan


def plan_status(job: SyncJob, active_token_id: uuid.UUID | None, at: datetime) -> str:
    """Whether the plan can be approved at this time, and if not, why. Pure."""
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
    """Have the plan carried out. Approving it twice changes nothing.

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
    await tell_parent(session, job)
    await _record(session, audit, "sync_plan.approved", job, plan)
    return job


async def reject(
    session: AsyncSession, audit: Recorder, job_id: uuid.UUID, digest: str | None
) -> SyncJob:
    """End the job without any change; one that is out of date can be rejected too.

    Raises `NotFound`, `NoPlan`, `PlanNotOpen` and `PlanStale`.
    """
    job = await SyncJobRepository(session, audit.workspace_id).lock(job_id)
    plan = _require_plan(job, digest)
    if job.status != "halted":
        raise PlanNotOpen
    await mark_cancelled(session, job)
    await tell_parent(session, job)
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
    told = {name: plan[name] for name in ("digest", "users", "removals")}
    await audit.record(session, action=action, subject=encode("job", job.id), details=told)
