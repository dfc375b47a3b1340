"""Queries for the sync jobs of one workspace."""

import uuid
from typing import Any, Literal

from pydantic import BaseModel, Field
from sqlalchemy import Select, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.keyset import KeysetOrder, PageRequest
from partner_connector.db.locks import lock_job, lock_parent_job, lock_partner, lock_partner_jobs
from partner_connector.db.models import Partner, PlannedChange, SyncJob, SyncJobEvent, Token
from partner_connector.db.models.sync_job import UNFINISHED
from partner_connector.errors import found
from partner_connector.ids import PartnerId
from partner_connector.web.schemas import RequestInstant

Status = Literal["queued", "running", "waiting", "halted", "completed", "failed", "cancelled"]
Task = Literal["sync_integration", "sync_partner"]
Trigger = Literal["api", "schedule", "connect"]
_NEWEST_FIRST = KeysetOrder([SyncJob.__table__.c.id], descending=True)
_PLANNED = KeysetOrder([PlannedChange.__table__.c.id])
_OLDEST_FIRST = KeysetOrder([SyncJobEvent.__table__.c.id])


class SyncJobFilter(BaseModel):
    """Query parameters that filter a list of jobs."""

    status: list[Status] | None = Field(
        default=None,
        max_length=7,
        description="Return only jobs with this status. Repeat it to allow several.",
    )
    task: list[Task] | None = Field(
        default=None,
        max_length=2,
        description="Return only jobs of this task. Repeat it to allow several.",
    )
    trigger: list[Trigger] | None = Field(
        default=None,
        max_length=3,
        description="Return only jobs with this trigger. Repeat it to allow several.",
    )
    partner_id: PartnerId | None = Field(
        default=None, description="Return only jobs of this partner."
    )
    created_after: RequestInstant | None = Field(
        default=None, description="Return only jobs created after this time."
    )

    def apply(self, query: Select[Any]) -> Select[Any]:
        """Add the filters to the query."""
        for column, values in (
            (SyncJob.status, self.status),
            (SyncJob.task, self.task),
            (SyncJob.trigger, self.trigger),
        ):
            if values:
                query = query.where(column.in_(values))
        if self.partner_id is not None:
            query = query.where(SyncJob.partner_id == self.partner_id)
        if self.created_after is not None:
            query = query.where(SyncJob.created_at > self.created_after)
        return query


class SyncJobRepository:
    """Queries that see the jobs of one workspace only."""

    def __init__(self, session: AsyncSession, workspace_id: uuid.UUID) -> None:
        self.session = session
        self.workspace_id = workspace_id

    async def get(self, job_id: uuid.UUID) -> SyncJob:
        """Return one job. Raises `NotFound`."""
        query = select(SyncJob).where(
            SyncJob.workspace_id == self.workspace_id, SyncJob.id == job_id
        )
        return found(await self.session.scalar(query))

    async def lock(self, job_id: uuid.UUID) -> SyncJob:
        """Lock and return one job. Raises `NotFound`."""
        in_workspace = SyncJob.workspace_id == self.workspace_id
        return found(await lock_job(self.session, job_id, in_workspace))

    async def lock_with_children(self, job_id: uuid.UUID) -> tuple[SyncJob, list[SyncJob]]:
        """Lock and return one job and its unfinished children. Raises `NotFound`.

        The children are locked before the parent. If the parent gets its children while this
        method waits for the parent's lock, all locks are released and taken again, at most once.
        """
        is_unfinished_child = (
            SyncJob.workspace_id == self.workspace_id,
            SyncJob.parent_id == job_id,
            SyncJob.status.in_(UNFINISHED),
        )
        number = select(func.count()).where(*is_unfinished_child)
        while True:
            async with self.session.begin_nested() as attempt:
                children = await lock_partner_jobs.all(self.session, *is_unfinished_child)
                lock = lock_parent_job if children else lock_job
                job = await lock(self.session, job_id, SyncJob.workspace_id == self.workspace_id)
                if len(children) == await self.session.scalar(number):
                    return found(job), children
                await attempt.rollback()

    async def lock_partner_and_plan(self, partner_id: uuid.UUID) -> Partner:
        """Lock the partner's halted job, if there is one, then the partner. Return the partner.

        If a job halts while this method waits for the partner's lock, all locks are released and
        taken again in that order. Raises `NotFound`.
        """
        in_workspace = Partner.workspace_id == self.workspace_id
        while True:
            async with self.session.begin_nested() as attempt:
                job = await self.halted(partner_id)
                if job is not None:
                    job = await lock_job(self.session, job.id, SyncJob.status == "halted")
                partner = await lock_partner(self.session, partner_id, in_workspace)
                if await self.halted(partner_id) is job:
                    return found(partner)
                await attempt.rollback()

    async def unfinished(
        self, integration_id: uuid.UUID, partner_id: uuid.UUID | None
    ) -> SyncJob | None:
        """Return the unfinished job of this target, if there is one.

        A check of all partners counts as ended when its only unfinished children are halted.
        """
        query = select(SyncJob).where(
            SyncJob.workspace_id == self.workspace_id,
            SyncJob.integration_id == integration_id,
            SyncJob.status.in_(UNFINISHED),
        )
        if partner_id is None:
            query = query.where(SyncJob.partner_id.is_(None), SyncJob.finished_at.is_(None))
        else:
            query = query.where(SyncJob.partner_id == partner_id)
        return await self.session.scalar(query)

    async def halted(self, partner_id: uuid.UUID) -> SyncJob | None:
        """Return the partner's halted job, if there is one."""
        query = select(SyncJob).where(
            SyncJob.workspace_id == self.workspace_id,
            SyncJob.partner_id == partner_id,
            SyncJob.status == "halted",
        )
        return await self.session.scalar(query)

    async def add(self, job: SyncJob) -> bool:
        """Store a new job. Return False if the target already has an unfinished job."""
        try:
            async with self.session.begin_nested():
                self.session.add(job)
                await self.session.flush()
        except IntegrityError:
            return False
        return True

    async def page(
        self, page: PageRequest, filters: SyncJobFilter
    ) -> tuple[list[SyncJob], str | None]:
        """Return a page of jobs, newest first."""
        query = filters.apply(select(SyncJob).where(SyncJob.workspace_id == self.workspace_id))
        rows, cursor = await page.fetch(self.session, self.workspace_id, query, _NEWEST_FIRST)
        return [row[0] for row in rows], cursor

    async def plan_page(
        self, page: PageRequest, job: SyncJob
    ) -> tuple[list[PlannedChange], str | None]:
        """Return a page of the changes that the job plans, in their order."""
        query = select(PlannedChange).where(PlannedChange.job_id == job.id)
        rows, cursor = await page.fetch(self.session, self.workspace_id, query, _PLANNED)
        return [row[0] for row in rows], cursor

    async def event_page(
        self, page: PageRequest, job: SyncJob, after: int
    ) -> tuple[list[SyncJobEvent], str | None]:
        """Return a page of the job's events after the event `after`, oldest first."""
        query = self._events(job, after)
        rows, cursor = await page.fetch(self.session, self.workspace_id, query, _OLDEST_FIRST)
        return [row[0] for row in rows], cursor

    async def events_after(self, job: SyncJob, after: int, *, limit: int) -> list[SyncJobEvent]:
        """Return at most `limit` events of the job after the event `after`, oldest first."""
        query = self._events(job, after).order_by(SyncJobEvent.id).limit(limit)
        return list(await self.session.scalars(query))

    async def active_token_id(self, job: SyncJob) -> uuid.UUID | None:
        """Return the id of the active token of the job's partner, or None."""
        query = select(Token.id).where(
            Token.workspace_id == self.workspace_id,
            Token.integration_id == job.integration_id,
            Token.partner_id == job.partner_id,
            Token.state == "active",
        )
        return await self.session.scalar(query)

    def _events(self, job: SyncJob, after: int) -> Select[SyncJobEvent]:
        return select(SyncJobEvent).where(SyncJobEvent.job_id == job.id, SyncJobEvent.id > after)
