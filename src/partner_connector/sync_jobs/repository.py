"""Sync jobs of one workspace in the database."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.errors import found
from partner_connector.models import SyncJob
from partner_connector.models.sync_job import UNFINISHED
from partner_connector.pagination import KeysetOrder, PageRequest


@dataclass(frozen=True, slots=True)
class SyncJobFilter:
    """What a list of jobs is narrowed to."""

    status: Sequence[str] = ()
    task: Sequence[str] = ()
    trigger: Sequence[str] = ()
    partner_id: uuid.UUID | None = None
    created_after: datetime | None = None

    def apply(self, query: Select[Any]) -> Select[Any]:
        """Narrow the query."""
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
    """Bound to its workspace when it is made."""

    def __init__(self, session: AsyncSession, workspace_id: uuid.UUID) -> None:
        self.session = session
        self.workspace_id = workspace_id

    async def get(self, job_id: uuid.UUID) -> SyncJob:
        """One job. Raises `NotFound`."""
        query = select(SyncJob).where(
            SyncJob.workspace_id == self.workspace_id, SyncJob.id == job_id
        )
        return found(await self.session.scalar(query))

    async def unfinished(
        self, integration_id: uuid.UUID, partner_id: uuid.UUID | None
    ) -> SyncJob | None:
        """The one job that is not done yet for this target, if there is one."""
        same_partner = (
            SyncJob.partner_id.is_(None) if partner_id is None else SyncJob.partner_id == partner_id
        )
        query = select(SyncJob).where(
            SyncJob.workspace_id == self.workspace_id,
            SyncJob.integration_id == integration_id,
            same_partner,
            SyncJob.status.in_(UNFINISHED),
        )
        return await self.session.scalar(query)

    async def add(self, job: SyncJob) -> bool:
        """Store a new job. False where another request was faster and one is unfinished."""
        try:
            async with self.session.begin_nested():
                self.session.add(job)
                await self.session.flush()
        except IntegrityError:
            return False
        return True

    async def page(
        self, page: PageRequest, only: SyncJobFilter
    ) -> tuple[list[SyncJob], str | None]:
        """Newest first."""
        query = only.apply(select(SyncJob).where(SyncJob.workspace_id == self.workspace_id))
        order = KeysetOrder([SyncJob.__table__.c.id], descending=True)
        rows, cursor = await page.fetch(self.session, self.workspace_id, query, order)
        return [row[0] for row in rows], cursor
