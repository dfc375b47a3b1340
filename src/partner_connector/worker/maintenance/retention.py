"""Deletion of finished jobs, validations, tokens, webhook events and runs after their retention.

Results stay: partners, people, access, the change feed and audit events. See
`docs/explanation/guarantees.md#what-is-kept-and-for-how-long`.
"""

import asyncio
import uuid
from datetime import datetime, timedelta

import structlog
from sqlalchemy import ColumnElement, Select, and_, exists, or_, select
from sqlalchemy.orm import aliased

from partner_connector.clock import now
from partner_connector.db.models import SyncJob, Token, TokenValidation, WebhookEvent
from partner_connector.db.models.sync_job import UNFINISHED
from partner_connector.durable import runs
from partner_connector.worker.context import WorkerContext
from partner_connector.worker.maintenance.batched_delete import (
    BATCH_SIZE,
    PAUSE_SECONDS,
    delete_in_batches,
)

log = structlog.get_logger()


async def delete_old_jobs(context: WorkerContext) -> None:
    """Delete old sync jobs with their events: first child jobs, then parent jobs.

    The last job and the last completed job of each partner and each integration stay. Child jobs
    stay until their parent job has ended, because its status follows from theirs. A parent job
    stays while it has a child job.
    """
    before = now() - timedelta(days=context.settings.retention_days)
    await delete_in_batches(context.database, SyncJob, _old_child_jobs(before))
    await delete_in_batches(context.database, SyncJob, _old_parent_jobs(before))


def _old_child_jobs(before: datetime) -> Select[uuid.UUID]:
    later, parent = aliased(SyncJob), aliased(SyncJob)
    is_later = and_(later.partner_id == SyncJob.partner_id, later.id > SyncJob.id)
    parent_is_unfinished = exists().where(parent.id == SyncJob.parent_id, ~_is_over(parent))
    return _old_jobs(before, later, is_later).where(
        SyncJob.partner_id.is_not(None), ~parent_is_unfinished
    )


def _old_parent_jobs(before: datetime) -> Select[uuid.UUID]:
    later, child = aliased(SyncJob), aliased(SyncJob)
    is_later = and_(
        later.integration_id == SyncJob.integration_id,
        later.partner_id.is_(None),
        later.id > SyncJob.id,
    )
    has_children = exists().where(child.parent_id == SyncJob.id)
    return _old_jobs(before, later, is_later).where(SyncJob.partner_id.is_(None), ~has_children)


def _old_jobs(
    before: datetime, later: type[SyncJob], is_later: ColumnElement[bool]
) -> Select[uuid.UUID]:
    """Select jobs that ended before, except the last job and the last completed job of a target."""
    has_later_completed = exists().where(is_later, later.status == "completed")
    return (
        select(SyncJob.id)
        .where(SyncJob.finished_at < before, _is_over(SyncJob), exists().where(is_later))
        .where(or_(SyncJob.status != "completed", has_later_completed))
        .order_by(SyncJob.finished_at)
    )


def _is_over(job: type[SyncJob]) -> ColumnElement[bool]:
    """Return the condition that a job has ended: `models.sync_job_event.is_over`, in SQL."""
    return and_(job.status.not_in(UNFINISHED), job.phase != "checking_partners")


async def delete_old_validations(context: WorkerContext) -> None:
    """Delete old validations of tokens that are not in use.

    The last completed validation of each partner stays: the partner's checklist is read from it.
    """
    before = now() - timedelta(days=context.settings.retention_days)
    newer = aliased(TokenValidation)
    is_in_use = exists().where(Token.id == TokenValidation.token_id, Token.state == "active")
    has_newer_completed = exists().where(
        newer.partner_id == TokenValidation.partner_id,
        newer.id > TokenValidation.id,
        newer.status == "completed",
    )
    old = (
        select(TokenValidation.id)
        .where(TokenValidation.status == "completed", TokenValidation.completed_at < before)
        .where(~is_in_use, or_(TokenValidation.partner_id.is_(None), has_newer_completed))
    )
    await delete_in_batches(context.database, TokenValidation, old)


async def delete_old_tokens(context: WorkerContext) -> None:
    """Delete old rows of tokens that are not in use, once their validations are deleted.

    Such a row holds no ciphertext. The newest token of each owner stays, because the next version
    number is counted from it.
    """
    before = now() - timedelta(days=context.settings.retention_days)
    newer = aliased(Token)
    old = (
        select(Token.id)
        .where(Token.state.not_in(("candidate", "active")), Token.created_at < before)
        .where(~exists().where(TokenValidation.token_id == Token.id))
        .where(
            exists().where(
                newer.integration_id == Token.integration_id,
                newer.partner_id.is_not_distinct_from(Token.partner_id),
                newer.version > Token.version,
            )
        )
    )
    await delete_in_batches(context.database, Token, old)


async def delete_old_webhook_events(context: WorkerContext) -> None:
    """Delete old webhook events with their deliveries, delivered or not."""
    before = now() - timedelta(days=context.settings.retention_days)
    old = select(WebhookEvent.id).where(WebhookEvent.occurred_at <= before)
    await delete_in_batches(context.database, WebhookEvent, old)


async def delete_old_runs(context: WorkerContext) -> None:
    """Delete the engine's records of ended runs and their steps."""
    before = now() - timedelta(days=context.settings.engine_retention_days)
    while deleted := await runs.delete_ended(before, at_most=BATCH_SIZE):
        log.info("runs_deleted", runs=deleted)
        await asyncio.sleep(PAUSE_SECONDS)
