"""What has had its time: plans that nobody answered, answers that nobody can ask for again, secrets
that no longer sign, and what jobs that have ended had staged.
"""

import uuid

import structlog
from sqlalchemy import ColumnElement, delete, select

from partner_connector.clock import now
from partner_connector.db.locks import lock_job
from partner_connector.db.models import IdempotencyKey, SyncJob, WebhookSecret
from partner_connector.features.sync_jobs.cancelling import mark_cancelled
from partner_connector.features.sync_jobs.roll_up import tell_parent
from partner_connector.worker.context import Workshop
from partner_connector.worker.maintenance.batched_delete import delete_in_pieces
from partner_connector.worker.sync.stage import cleanup

_PLANS_AT_A_TIME = 100

log = structlog.get_logger()


async def end_plans(shop: Workshop) -> None:
    """Plans whose time is up: their jobs are cancelled, and nothing of them is applied."""
    overdue = select(SyncJob.id).where(*_plan_is_overdue()).order_by(SyncJob.plan_expires_at)
    async with shop.database.reading() as session:
        job_ids = (await session.scalars(overdue.limit(_PLANS_AT_A_TIME))).all()
    for job_id in job_ids:
        await _let_plan_expire(shop, job_id)


async def _let_plan_expire(shop: Workshop, job_id: uuid.UUID) -> None:
    async with shop.database.writing() as session:
        # Looked at again under its lock: it may have been approved this very moment.
        job = await lock_job(session, job_id, *_plan_is_overdue())
        if job is None:
            return
        await mark_cancelled(session, job)
        await tell_parent(session, job)
    log.info("plan_expired", job_id=str(job_id))


def _plan_is_overdue() -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return SyncJob.status == "halted", SyncJob.plan_expires_at <= now()


async def clear_leftovers(shop: Workshop) -> None:
    """What jobs that have ended left in the staging tables."""
    await cleanup.clear_ended_jobs(shop.database)


async def forget_answers(shop: Workshop) -> None:
    """What was answered a day ago to requests with an `Idempotency-Key`."""
    overdue = select(IdempotencyKey.id).where(IdempotencyKey.expires_at <= now())
    await delete_in_pieces(shop.database, IdempotencyKey, overdue)


async def forget_secrets(shop: Workshop) -> None:
    """Of webhooks: those that were replaced a day ago."""
    async with shop.database.writing() as session:
        await session.execute(delete(WebhookSecret).where(WebhookSecret.expires_at <= now()))
