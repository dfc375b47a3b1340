"""What is due once a day, for each row at a minute of the day of its own.

A thousand rows do not all ask Meta at once that way. When a row is next due is in the row
(`next_check_at`), which moves on in the transaction that starts what is due: with any number of
workers it is started once.
"""

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import structlog
from sqlalchemy import ColumnElement, Select, or_
from sqlalchemy.orm import InstrumentedAttribute

from partner_connector.clock import now
from partner_connector.database import Database

LOOK_SECONDS = 60.0
# What has become due in an outage starts in portions, one a look.
AT_A_TIME = 25
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


async def look_every_minute(look: Callable[[datetime], Awaitable[object]], what: str) -> None:
    """Look at once, and then once a minute until cancelled. `what` names it in the log."""
    while True:
        try:
            await look(now())
        except Exception as error:
            log.warning("due_rows_not_read", what=what, error=type(error).__name__)
        await asyncio.sleep(LOOK_SECONDS)


async def take_each(
    database: Database,
    due: Select[uuid.UUID],
    take: Callable[[uuid.UUID, datetime], Awaitable[bool]],
    at: datetime,
    what: str,
) -> list[uuid.UUID]:
    """Take the first rows of `due`; answers those for which `take` started something."""
    async with database.reading() as session:
        row_ids = (await session.scalars(due.limit(AT_A_TIME))).all()
    started = []
    for row_id in row_ids:
        try:
            if await take(row_id, at):
                started.append(row_id)
        except Exception as error:
            # The others are not held up; this one is still due at the next look.
            log.warning("due_row_not_taken", what=what, id=str(row_id), error=type(error).__name__)
    return started
