"""Expiry of unanswered plans, stored responses, replaced signing secrets and staged rows."""

import uuid

import structlog
from sqlalchemy import ColumnElement, delete, select

from partner_connector.clock import now
from partner_connector.db.locks import lock_job
from partner_connector.db.models import IdempotencyKey, SyncJob, WebhookSecret
from partner_connector.features.sync_jobs.cancelling import mark_cancelled
from partner_connector.features.sync_jobs.roll_up import update_parent
from partner_connector.worker.context import WorkerContext
from partner_connector.worker.maintenance.batched_delete import delete_in_batches
from partner_connector.worker.sync.stage import cleanup

_PLAN_BATCH_SIZE = 100

log = structlog.get_logger()


async def end_plans(context: WorkerContext) -> None:
    """Cancel the jobs of expired plans. Nothing of such a plan is applied."""
    overdue = select(SyncJob.id).where(*_plan_is_overdue()).order_by(SyncJob.plan_expires_at)
    async with context.database.reading() as session:
        job_ids = (await session.scalars(overdue.limit(_PLAN_BATCH_SIZE))).all()
    for job_id in job_ids:
        await _end_plan(context, job_id)


async def _end_plan(context: WorkerContext, job_id: uuid.UUID) -> None:
    async with context.database.writing() as session:
        # Checked again under the lock: the plan may have been approved meanwhile.
        job = await lock_job(session, job_id, *_plan_is_overdue())
        if job is None:
            return
        await mark_cancelled(session, job)
        await update_parent(session, job)
    log.info("plan_expired", job_id=str(job_id))


def _plan_is_overdue() -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return SyncJob.status == "halted", SyncJob.plan_expires_at <= now()


async def clear_ended_staging(context: WorkerContext) -> None:
    """Delete rows that ended jobs left in the staging tables."""
    await cleanup.clear_ended_jobs(context.database)


async def forget_answers(context: WorkerContext) -> None:
    """Delete expired responses to requests with an `Idempotency-Key`, kept for a day."""
    overdue = select(IdempotencyKey.id).where(IdempotencyKey.expires_at <= now())
    await delete_in_batches(context.database, IdempotencyKey, overdue)


async def forget_secrets(context: WorkerContext) -> None:
    """Delete signing secrets of webhooks that were replaced a day ago."""
    async with context.database.writing() as session:
        await session.execute(delete(WebhookSecret).where(WebhookSecret.expires_at <= now()))
