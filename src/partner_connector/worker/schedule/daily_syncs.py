"""The daily check for updates of every integration."""

import uuid
from datetime import datetime

import structlog
from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.locks import lock_integration
from partner_connector.db.models import Integration, Token
from partner_connector.features.sync_jobs import service as sync_jobs
from partner_connector.worker.context import Workshop
from partner_connector.worker.schedule.due_rows import DueRows, is_due, next_time

log = structlog.get_logger()


class Scheduler:
    """Looks when the worker starts, and then once a minute."""

    def __init__(self, shop: Workshop) -> None:
        self.shop = shop
        self._due_rows = DueRows(shop.database, Integration.id, "scheduled_checks")

    async def look(self, at: datetime) -> list[uuid.UUID]:
        """Start what is due at this instant; answers the integrations whose check was asked for.

        One that missed its time, be it for days, is checked once and then at its regular times.
        """
        due = select(Integration.id).where(is_due(Integration.next_check_at, at))
        due = due.order_by(Integration.next_check_at)
        return await self._due_rows.take_each(due, self._take, at)

    async def _take(self, integration_id: uuid.UUID, at: datetime) -> bool:
        """Move it on, and start its check if it was its time. False where nothing was started."""
        async with self.shop.database.writing() as session:
            # None if another worker was faster, or somebody is at it: a minute is no time. Its key
            # stays free, so that a request for a check, whose job refers to it, is not held up.
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
                session, self.shop.queue, integration, trigger="schedule"
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
