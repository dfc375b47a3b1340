"""Finds what nobody will ever see to, and sees to it.

A row says `running` or `waiting`, but the engine has no run that could end it: an outage lasted
longer than every retry, or the engine gave a run up. Such a row would also block every new request
for its target, so it is looked for, not hoped against. So would a plan that nobody answers. And
what a job has staged outlives it.
"""

import asyncio
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import structlog
from dbos import DBOS
from sqlalchemy import ColumnElement, delete, or_, select

from partner_connector import work
from partner_connector.audit.chain import ends_that_moved
from partner_connector.clock import now
from partner_connector.models import (
    IdempotencyKey,
    SyncJob,
    TokenValidation,
    WebhookEvent,
    WebhookSecret,
)
from partner_connector.patience import Pause, pause_after_crash
from partner_connector.sync import leftovers, progress
from partner_connector.sync_jobs.cancelling import mark_cancelled
from partner_connector.sync_jobs.roll_up import tell_parent
from partner_connector.workshop import Workshop

SWEEP_SECONDS = 60.0
# Younger rows may be between their commit and the engine's.
_SETTLED_AFTER = timedelta(seconds=60)
_AT_A_TIME = 100
_KEYS_AT_A_TIME = 1000
# A proof has no other end than a verdict: one that is lost again and again is tried rarely.
_LONG_AFTER = timedelta(hours=1)
_EVENTS_KEPT_FOR = timedelta(days=30)
_ANCHORED_EVERY = timedelta(hours=1)
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_CAN_STILL_RUN = {"PENDING", "ENQUEUED", "DELAYED"}

log = structlog.get_logger()


class Sweeper:
    """Looks once a minute. Two workers that look at once find the same and change it once."""

    def __init__(self, shop: Workshop) -> None:
        self.shop = shop
        self._anchored_at: datetime | None = None

    async def watch(self) -> None:
        """Sweep until cancelled."""
        sweeps = (
            self.sweep_jobs,
            self.sweep_validations,
            self.sweep_plans,
            self.sweep_leftovers,
            self.sweep_idempotency_keys,
            self.sweep_webhooks,
            self.anchor_audit_events,
        )
        while True:
            for sweep in sweeps:
                try:
                    await sweep()
                except Exception as error:
                    log.warning("sweep_failed", sweep=sweep.__name__, error=type(error).__name__)
            await asyncio.sleep(SWEEP_SECONDS)

    async def sweep_jobs(self) -> None:
        """Jobs whose attempt the engine no longer knows or has ended."""
        before = now() - _SETTLED_AFTER
        async with self.shop.database.reading() as session:
            jobs = (
                await session.scalars(
                    select(SyncJob)
                    .where(SyncJob.status.in_(["queued", "running", "waiting"]))
                    .where(SyncJob.own_work_done.is_(False), SyncJob.updated_at < before)
                    .where(or_(SyncJob.resume_at.is_(None), SyncJob.resume_at < before))
                    .order_by(SyncJob.updated_at)
                    .limit(_AT_A_TIME)
                )
            ).all()
        ids = {job.id: _run_id(job.task, job.id, job.attempt) for job in jobs}
        lost = await _lost(list(ids.values()))
        for job in jobs:
            if ids[job.id] in lost:
                await self._revive_job(job)

    async def _revive_job(self, stale: SyncJob) -> None:
        async with self.shop.database.writing() as session:
            job = await session.get(SyncJob, stale.id, with_for_update=True)
            if job is None or job.attempt != stale.attempt or job.status != stale.status:
                return
            log.error("sync_job_was_lost", job_id=str(job.id), attempt=job.attempt)
            await progress.retry_after_crash(session, self.shop.queue, job)

    async def sweep_validations(self) -> None:
        """Proofs whose attempt the engine no longer knows or has ended."""
        before = now() - _SETTLED_AFTER
        async with self.shop.database.reading() as session:
            validations = (
                await session.scalars(
                    select(TokenValidation)
                    .where(TokenValidation.status != "completed")
                    .where(TokenValidation.created_at < before)
                    .where(
                        or_(
                            TokenValidation.resume_at.is_(None),
                            TokenValidation.resume_at < before,
                        )
                    )
                    .order_by(TokenValidation.id)
                    .limit(_AT_A_TIME)
                )
            ).all()
        ids = {row.id: _run_id(work.VALIDATE_TOKEN, row.id, row.attempt) for row in validations}
        lost = await _lost(list(ids.values()))
        for row in validations:
            if ids[row.id] in lost:
                await self._revive_validation(row)

    async def _revive_validation(self, stale: TokenValidation) -> None:
        async with self.shop.database.writing() as session:
            row = await session.get(TokenValidation, stale.id, with_for_update=True)
            if row is None or row.attempt != stale.attempt or row.status == "completed":
                return
            log.error("token_validation_was_lost", validation_id=str(row.id), attempt=row.attempt)
            row.crashes += 1
            pause = pause_after_crash(row.crashes) or Pause("retrying", now() + _LONG_AFTER)
            row.attempt += 1
            row.resume_at = pause.resume_at
            owner = row.partner_id or row.integration_id
            await self.shop.queue.enqueue(
                session,
                work.validate_token(row.id, owner, attempt=row.attempt, not_before=pause.resume_at),
            )

    async def sweep_plans(self) -> None:
        """Plans whose time is up: their jobs are cancelled, and nothing of them is applied."""
        overdue = select(SyncJob.id).where(*_plan_is_overdue()).order_by(SyncJob.plan_expires_at)
        async with self.shop.database.reading() as session:
            job_ids = (await session.scalars(overdue.limit(_AT_A_TIME))).all()
        for job_id in job_ids:
            await self._let_plan_expire(job_id)

    async def _let_plan_expire(self, job_id: uuid.UUID) -> None:
        async with self.shop.database.writing() as session:
            # Looked at again under its lock: it may have been approved this very moment.
            still = select(SyncJob).where(SyncJob.id == job_id, *_plan_is_overdue())
            job = await session.scalar(still.with_for_update())
            if job is None:
                return
            mark_cancelled(job)
            await tell_parent(session, job)
        log.info("plan_expired", job_id=str(job_id))

    async def anchor_audit_events(self) -> None:
        """Once an hour the log is told where the chains of audit events end that have grown: it is
        where somebody who can change the database cannot change that.
        """
        at = now()
        # A worker that has just started tells all of them.
        since = self._anchored_at or _BEGINNING
        if at - since < _ANCHORED_EVERY:
            return
        async with self.shop.database.reading() as session:
            async for workspace_id, end in ends_that_moved(session, since):
                log.info("audit_anchor", workspace_id=str(workspace_id), anchor=str(end))
        self._anchored_at = at

    async def sweep_leftovers(self) -> None:
        """What jobs that have ended left in the staging tables."""
        await leftovers.clear_ended_jobs(self.shop.database)

    async def sweep_idempotency_keys(self) -> None:
        """Answers that nobody can ask for again."""
        overdue = select(IdempotencyKey.id).where(IdempotencyKey.expires_at <= now())
        some = overdue.limit(_KEYS_AT_A_TIME).scalar_subquery()
        while True:
            async with self.shop.database.writing() as session:
                gone = await session.execute(
                    delete(IdempotencyKey)
                    .where(IdempotencyKey.id.in_(some))
                    .returning(IdempotencyKey.id)
                )
                if len(gone.all()) < _KEYS_AT_A_TIME:
                    return

    async def sweep_webhooks(self) -> None:
        """Events with their deliveries once they are old, and secrets that no longer sign."""
        old = WebhookEvent.occurred_at <= now() - _EVENTS_KEPT_FOR
        some = select(WebhookEvent.id).where(old).limit(_KEYS_AT_A_TIME).scalar_subquery()
        while True:
            async with self.shop.database.writing() as session:
                gone = await session.execute(
                    delete(WebhookEvent).where(WebhookEvent.id.in_(some)).returning(WebhookEvent.id)
                )
                if len(gone.all()) < _KEYS_AT_A_TIME:
                    await session.execute(
                        delete(WebhookSecret).where(WebhookSecret.expires_at <= now())
                    )
                    return


def _plan_is_overdue() -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return SyncJob.status == "halted", SyncJob.plan_expires_at <= now()


def _run_id(workflow: str, subject_id: object, attempt: int) -> str:
    return work.run_id(workflow, str(subject_id), attempt)


async def _lost(run_ids: Sequence[str]) -> set[str]:
    """Those of the runs that cannot go on: ended, given up, or unknown to the engine."""
    if not run_ids:
        return set()
    known = await DBOS.list_workflows_async(
        workflow_ids=list(run_ids), load_input=False, load_output=False
    )
    alive = {run.workflow_id for run in known if run.status in _CAN_STILL_RUN}
    return set(run_ids) - alive
