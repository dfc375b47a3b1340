"""The daily check for updates of every integration.

Each has a minute of the day of its own, always the same one, so that a thousand of them do not ask
Meta at once. When it is next checked is in its row (`next_check_at`), which moves on in the
transaction that starts the check: with any number of workers it is started once.
"""

import asyncio
import random
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from sqlalchemy import ColumnElement, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.clock import now
from partner_connector.models import Integration, Token
from partner_connector.sync_jobs import service as sync_jobs
from partner_connector.workshop import Workshop

LOOK_SECONDS = 60.0
# What has become due in an outage starts in portions, one a look.
AT_A_TIME = 25
LARGEST_SHIFT = timedelta(minutes=5)
_DAY = timedelta(days=1)
_MINUTES_OF_A_DAY = 24 * 60
# No plan is further ahead than a day and a shift. One that is was made by a clock that was wrong,
# and would keep its integration from being checked until then.
_TOO_FAR_AHEAD = timedelta(hours=25)

log = structlog.get_logger()


def next_regular_time(integration_id: uuid.UUID, after: datetime) -> datetime:
    """When this integration's minute of the day (UTC) next begins, later than that instant.

    Pure, and the same in every process: the minute is taken from the id, whose end is random.
    """
    midnight = after.replace(hour=0, minute=0, second=0, microsecond=0)
    today = midnight + timedelta(minutes=integration_id.int % _MINUTES_OF_A_DAY)
    return today if today > after else today + _DAY


class Scheduler:
    """Looks when the worker starts, and then once a minute."""

    def __init__(self, shop: Workshop) -> None:
        self.shop = shop

    async def watch(self) -> None:
        """Look until cancelled."""
        while True:
            try:
                await self.look(now())
            except Exception as error:
                log.warning("schedule_not_read", error=type(error).__name__)
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self, at: datetime) -> list[uuid.UUID]:
        """Start what is due at this instant; answers the integrations whose check was asked for.

        One that missed its time, be it for days, is checked once and then at its regular times.
        """
        started = []
        for integration_id in await self._due(at):
            try:
                if await self._take(integration_id, at):
                    started.append(integration_id)
            except Exception as error:
                # The others are not held up; this one is still due at the next look.
                log.warning(
                    "scheduled_check_not_started",
                    integration_id=str(integration_id),
                    error=type(error).__name__,
                )
        return started

    async def _due(self, at: datetime) -> Sequence[uuid.UUID]:
        query = select(Integration.id).where(_is_due(at)).order_by(Integration.next_check_at)
        async with self.shop.database.reading() as session:
            return (await session.scalars(query.limit(AT_A_TIME))).all()

    async def _take(self, integration_id: uuid.UUID, at: datetime) -> bool:
        """Move it on, and start its check if it was its time. False where nothing was started."""
        async with self.shop.database.writing() as session:
            integration = await _locked_if_due(session, integration_id, at)
            if integration is None:
                return False
            planned = integration.next_check_at
            shift = random.random() * LARGEST_SHIFT  # noqa: S311 - spreads load, guards nothing
            integration.next_check_at = next_regular_time(integration.id, at) + shift
            if planned is None or planned > at or not await _may_be_checked(session, integration):
                return False
            job = await sync_jobs.request_integration_sync(
                session, self.shop.queue, integration, trigger="schedule"
            )
        log.info("scheduled_check", integration_id=str(integration.id), job_id=str(job.id))
        return True


def _is_due(at: datetime) -> ColumnElement[bool]:
    return or_(
        Integration.next_check_at <= at,
        Integration.next_check_at.is_(None),
        Integration.next_check_at > at + _TOO_FAR_AHEAD,
    )


async def _locked_if_due(
    session: AsyncSession, integration_id: uuid.UUID, at: datetime
) -> Integration | None:
    """The row; None if another worker was faster, or somebody is at it: a minute is no time.

    Its key stays free, so that a request for a check, whose job refers to it, is not held up.
    """
    return await session.scalar(
        select(Integration)
        .where(Integration.id == integration_id, _is_due(at))
        .with_for_update(key_share=True, skip_locked=True)
    )


async def _may_be_checked(session: AsyncSession, integration: Integration) -> bool:
    if integration.schedule.get("paused", False):
        return False
    active = exists().where(
        Token.integration_id == integration.id,
        Token.partner_id.is_(None),
        Token.state == "active",
    )
    return bool(await session.scalar(select(active)))
