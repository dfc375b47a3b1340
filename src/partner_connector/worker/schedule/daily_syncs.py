"""Daily check for updates of every integration."""

import uuid
from datetime import datetime

import structlog
from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.locks import lock_integration
from partner_connector.db.models import Integration, Token
from partner_connector.features.sync_jobs import service as sync_jobs
from partner_connector.worker.context import WorkerContext
from partner_connector.worker.schedule.due_rows import DueRows, is_due, next_time

log = structlog.get_logger()


class Scheduler:
    """Starter of due checks for updates: at the start of the worker, then once a minute."""

    def __init__(self, context: WorkerContext) -> None:
        self.context = context
        self._due_rows = DueRows(context.database, Integration.id, "scheduled_checks")

    async def poll(self, at: datetime) -> list[uuid.UUID]:
        """Start the checks that are due at `at`. Return the ids of their integrations.

        An integration that missed its time, even for days, is checked once now and then at its
        regular times.
        """
        due = select(Integration.id).where(is_due(Integration.next_check_at, at))
        due = due.order_by(Integration.next_check_at)
        return await self._due_rows.take_each(due, self._take, at)

    async def _take(self, integration_id: uuid.UUID, at: datetime) -> bool:
        """Plan the next check, and start this one if it is due. Return whether it was started."""
        async with self.context.database.writing() as session:
            # None if another worker was faster or the row is locked: the next poll is in a minute.
            # `key_share` lets a new job refer to the row, so a request for a check does not wait.
            integration = await lock_integration(
                session,
                integration_id,
                is_due(Integration.next_check_at, at),
                key_share=True,
                skip_locked=True,
            )
            if integration is None:
                return False
            planned = integration.next_check_at
            integration.next_check_at = next_time(integration.id, at)
            if planned is None or planned > at or not await _may_be_checked(session, integration):
                return False
            job = await sync_jobs.request_integration_sync(
                session, self.context.queue, integration, trigger="schedule"
            )
        log.info("scheduled_check", integration_id=str(integration.id), job_id=str(job.id))
        return True


async def _may_be_checked(session: AsyncSession, integration: Integration) -> bool:
    if integration.schedule.get("paused", False):
        return False
    active = exists().where(
        Token.integration_id == integration.id,
        Token.partner_id.is_(None),
        Token.state == "active",
    )
    return bool(await session.scalar(select(active)))
