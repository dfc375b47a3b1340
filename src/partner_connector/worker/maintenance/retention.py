"""What is over and was kept for long enough (`docs/retention.md`).

What was found out stays: partners, people, access, the feed of changes, and who decided what. What
goes is how it was found out.
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
from partner_connector.worker.context import Workshop
from partner_connector.worker.maintenance.batched_delete import (
    REST_SECONDS,
    ROWS_AT_A_TIME,
    delete_in_pieces,
)

log = structlog.get_logger()


async def delete_old_jobs(shop: Workshop) -> None:
    """Checks with their events: those of partners, then those of all partners above them.

    Of each partner and each integration the last one stays, and the last one that completed. Parts
    of a check of all partners stay until all of it is over, since it tells what they add up to, and
    it stays as long as one of them.
    """
    before = now() - timedelta(days=shop.settings.retention_days)
    await delete_in_pieces(shop.database, SyncJob, _old_checks_of_partners(before))
    await delete_in_pieces(shop.database, SyncJob, _old_checks_of_all_partners(before))


def _old_checks_of_partners(before: datetime) -> Select[uuid.UUID]:
    later, parent = aliased(SyncJob), aliased(SyncJob)
    is_later = and_(later.partner_id == SyncJob.partner_id, later.id > SyncJob.id)
    goes_on_above = exists().where(parent.id == SyncJob.parent_id, ~_is_over(parent))
    return _old_jobs(before, later, is_later).where(SyncJob.partner_id.is_not(None), ~goes_on_above)


def _old_checks_of_all_partners(before: datetime) -> Select[uuid.UUID]:
    later, part = aliased(SyncJob), aliased(SyncJob)
    is_later = and_(
        later.integration_id == SyncJob.integration_id,
        later.partner_id.is_(None),
        later.id > SyncJob.id,
    )
    has_parts = exists().where(part.parent_id == SyncJob.id)
    return _old_jobs(before, later, is_later).where(SyncJob.partner_id.is_(None), ~has_parts)


def _old_jobs(
    before: datetime, later: type[SyncJob], is_later: ColumnElement[bool]
) -> Select[uuid.UUID]:
    """Those that ended before, and that are neither the last one nor the last complete one."""
    is_told_by_a_later_one = exists().where(is_later, later.status == "completed")
    return (
        select(SyncJob.id)
        .where(SyncJob.finished_at < before, _is_over(SyncJob), exists().where(is_later))
        .where(or_(SyncJob.status != "completed", is_told_by_a_later_one))
        .order_by(SyncJob.finished_at)
    )


def _is_over(job: type[SyncJob]) -> ColumnElement[bool]:
    """Nothing will happen to it any more: `models.sync_job_event.is_over`, in SQL."""
    return and_(job.status.not_in(UNFINISHED), job.phase != "checking_partners")


async def delete_old_proofs(shop: Workshop) -> None:
    """Proofs of tokens that are not in use. The last one of each partner stays: its checklist is
    read from it.
    """
    before = now() - timedelta(days=shop.settings.retention_days)
    newer = aliased(TokenValidation)
    is_in_use = exists().where(Token.id == TokenValidation.token_id, Token.state == "active")
    is_told_by_a_newer_one = exists().where(
        newer.partner_id == TokenValidation.partner_id,
        newer.id > TokenValidation.id,
        newer.status == "completed",
    )
    old = (
        select(TokenValidation.id)
        .where(TokenValidation.status == "completed", TokenValidation.completed_at < before)
        .where(~is_in_use, or_(TokenValidation.partner_id.is_(None), is_told_by_a_newer_one))
    )
    await delete_in_pieces(shop.database, TokenValidation, old)


async def delete_old_tokens(shop: Workshop) -> None:
    """What is left of tokens that are not in use any more, or never were: no ciphertext, and by now
    no proof. The newest one of each owner stays, since the next one is counted from it.
    """
    before = now() - timedelta(days=shop.settings.retention_days)
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
    await delete_in_pieces(shop.database, Token, old)


async def delete_old_webhook_events(shop: Workshop) -> None:
    """Events with their deliveries, whether they arrived or not."""
    before = now() - timedelta(days=shop.settings.retention_days)
    old = select(WebhookEvent.id).where(WebhookEvent.occurred_at <= before)
    await delete_in_pieces(shop.database, WebhookEvent, old)


async def delete_old_runs(shop: Workshop) -> None:
    """The engine's record of runs that have ended, with that of their steps."""
    before = now() - timedelta(days=shop.settings.engine_retention_days)
    while deleted := await runs.delete_ended(before, at_most=ROWS_AT_A_TIME):
        log.info("runs_deleted", runs=deleted)
        await asyncio.sleep(REST_SECONDS)
