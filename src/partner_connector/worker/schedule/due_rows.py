"""What is due once a day, for each row at a minute of the day of its own.

A thousand rows do not all ask Meta at once that way. When a row is next due is in the row
(`next_check_at`), which moves on in the transaction that starts what is due: with any number of
workers it is started once.
"""

import random
import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import structlog
from sqlalchemy import ColumnElement, Select, or_
from sqlalchemy.orm import InstrumentedAttribute

from partner_connector.db.engine import Database

LOOK_SECONDS = 60.0
# What has become due in an outage starts in portions, one a look.
AT_A_TIME = 25
# Where more than these cannot be taken, it is not they that are at fault.
_MOST_PUT_OFF = 1000
LARGEST_SHIFT = timedelta(minutes=5)
_DAY = timedelta(days=1)
_MINUTES_OF_A_DAY = 24 * 60
# No plan is further ahead than a day and a shift. One that is was made by a clock that was wrong,
# and would keep its row from being looked at until then.
_TOO_FAR_AHEAD = timedelta(hours=25)

log = structlog.get_logger()


def next_regular_time(row_id: uuid.UUID, after: datetime) -> datetime:
    """When this row's minute of the day (UTC) next begins, later than that instant.

    Pure, and the same in every process: the minute is taken from the id, whose end is random.
    """
    midnight = after.replace(hour=0, minute=0, second=0, microsecond=0)
    today = midnight + timedelta(minutes=row_id.int % _MINUTES_OF_A_DAY)
    return today if today > after else today + _DAY


def next_time(row_id: uuid.UUID, after: datetime) -> datetime:
    """The next regular time and a random shift of some minutes."""
    shift = random.random() * LARGEST_SHIFT  # noqa: S311 - spreads load, guards nothing
    return next_regular_time(row_id, after) + shift


def is_due(
    next_check_at: InstrumentedAttribute[datetime | None], at: datetime
) -> ColumnElement[bool]:
    """Its time has come, or it has none that can be right."""
    return or_(next_check_at <= at, next_check_at.is_(None), next_check_at > at + _TOO_FAR_AHEAD)


class DueRows:
    """Rows of one kind that are taken when they are due, so many at a look.

    Those that could not be taken come last from then on: however many they are, the others have
    their turn before them.
    """

    def __init__(
        self, database: Database, row_id: InstrumentedAttribute[uuid.UUID], what: str
    ) -> None:
        self.database = database
        self._row_id = row_id
        self._what = what
        self._put_off: set[uuid.UUID] = set()

    async def take_each(
        self,
        due: Select[uuid.UUID],
        take: Callable[[uuid.UUID, datetime], Awaitable[bool]],
        at: datetime,
    ) -> list[uuid.UUID]:
        """Take the first rows of `due`; answers those for which `take` started something."""
        started = []
        for row_id in await self._whose_turn_it_is(due):
            try:
                if await take(row_id, at):
                    started.append(row_id)
            except Exception as error:
                # Still due at the next look.
                self._put_off.add(row_id)
                kind = type(error).__name__
                log.warning("due_row_not_taken", what=self._what, id=str(row_id), error=kind)
            else:
                self._put_off.discard(row_id)
        return started

    async def _whose_turn_it_is(self, due: Select[uuid.UUID]) -> list[uuid.UUID]:
        if len(self._put_off) > _MOST_PUT_OFF:
            self._put_off.clear()
        is_put_off = self._row_id.in_(self._put_off)
        async with self.database.reading() as session:
            row_ids = list(await session.scalars(due.where(~is_put_off).limit(AT_A_TIME)))
            if self._put_off:
                still_due = list(await session.scalars(due.where(is_put_off)))
                self._put_off.intersection_update(still_due)
                row_ids += still_due[: AT_A_TIME - len(row_ids)]
        return row_ids
