"""Rows with a daily check, each at its own minute of the day.

The checks are spread over the day, so that a thousand rows do not call Meta at once. The row holds
its next time (`next_check_at`). The transaction that starts a check also moves this time, so that
any number of workers start the check once.
"""

import random
import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import structlog
from sqlalchemy import ColumnElement, Select, or_
from sqlalchemy.orm import InstrumentedAttribute

from partner_connector.db.engine import Database

POLL_SECONDS = 60.0
# Rows that became due during an outage start in batches, one at each poll.
AT_A_TIME = 25
# If more rows than this fail, the cause is not in the rows: forget which ones failed.
_MAX_FAILED = 1000
LARGEST_SHIFT = timedelta(minutes=5)
_DAY = timedelta(days=1)
_MINUTES_OF_A_DAY = 24 * 60
# `next_check_at` is at most a day and a shift ahead. A later time comes from a wrong clock, and
# would keep its row from being checked until then.
_TOO_FAR_AHEAD = timedelta(hours=25)

log = structlog.get_logger()


def next_regular_time(row_id: uuid.UUID, after: datetime) -> datetime:
    """Return the next start of the row's minute of the day (UTC) that is later than `after`.

    Pure, and the same in every process: the minute comes from the id, whose last part is random.
    """
    midnight = after.replace(hour=0, minute=0, second=0, microsecond=0)
    today = midnight + timedelta(minutes=row_id.int % _MINUTES_OF_A_DAY)
    return today if today > after else today + _DAY


def next_time(row_id: uuid.UUID, after: datetime) -> datetime:
    """Return the next regular time plus a random shift of up to `LARGEST_SHIFT`."""
    shift = random.random() * LARGEST_SHIFT  # noqa: S311 - spreads load, guards nothing
    return next_regular_time(row_id, after) + shift


def is_due(
    next_check_at: InstrumentedAttribute[datetime | None], at: datetime
) -> ColumnElement[bool]:
    """Return the condition that a row is due, or that its next time is missing or impossible."""
    return or_(next_check_at <= at, next_check_at.is_(None), next_check_at > at + _TOO_FAR_AHEAD)


class DueRows:
    """Due rows of one table, taken in batches.

    Rows that failed are tried after all others, so that they never block the rest.
    """

    def __init__(
        self, database: Database, row_id: InstrumentedAttribute[uuid.UUID], what: str
    ) -> None:
        self.database = database
        self._row_id = row_id
        self._what = what
        self._failed: set[uuid.UUID] = set()

    async def take_each(
        self,
        due: Select[uuid.UUID],
        take: Callable[[uuid.UUID, datetime], Awaitable[bool]],
        at: datetime,
    ) -> list[uuid.UUID]:
        """Call `take` for the next batch of `due`. Return the ids for which it returned True."""
        started = []
        for row_id in await self._next_batch(due):
            try:
                if await take(row_id, at):
                    started.append(row_id)
            except Exception as error:
                # Still due at the next poll.
                self._failed.add(row_id)
                error_type = type(error).__name__
                log.warning(
                    "daily_check_not_started", what=self._what, id=str(row_id), error=error_type
                )
            else:
                self._failed.discard(row_id)
        return started

    async def _next_batch(self, due: Select[uuid.UUID]) -> list[uuid.UUID]:
        if len(self._failed) > _MAX_FAILED:
            self._failed.clear()
        has_failed = self._row_id.in_(self._failed)
        async with self.database.reading() as session:
            row_ids = list(await session.scalars(due.where(~has_failed).limit(AT_A_TIME)))
            if self._failed:
                still_due = list(await session.scalars(due.where(has_failed)))
                self._failed.intersection_update(still_due)
                row_ids += still_due[: AT_A_TIME - len(row_ids)]
        return row_ids
