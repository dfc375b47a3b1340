"""Tells those who follow a sync job that there is news of it.

One read of an index twice a second for all jobs that anybody in this process follows, and none
while nobody does. So whoever follows holds no connection, and a thousand cost little more than one.
"""

import asyncio
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from sqlalchemy import select

from partner_connector.db.engine import Database
from partner_connector.db.models import SyncJob
from partner_connector.durable.periodic import Periodic, running

LOOKS_EVERY_SECONDS = 0.5


@dataclass(slots=True, eq=False)
class Follower:
    """Somebody with this key who has seen a job's events up to `seen`."""

    api_key_id: uuid.UUID
    job_id: uuid.UUID
    seen: int
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def call(self) -> None:
        """There is something to look at."""
        self._news.set()

    async def news(self, seconds: float) -> bool:
        """True once there is something to look at, False after so many seconds without."""
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return False
        # Here and nowhere else: a call that comes while the follower is busy is heard afterwards.
        self._news.clear()
        return True


class JobWatch:
    """Of one process."""

    def __init__(self) -> None:
        self._followers: set[Follower] = set()

    @contextmanager
    def follower(self, api_key_id: uuid.UUID, job_id: uuid.UUID, seen: int) -> Iterator[Follower]:
        """One more, for as long as the block lasts."""
        follower = Follower(api_key_id, job_id, seen)
        self._followers.add(follower)
        try:
            yield follower
        finally:
            self._followers.discard(follower)

    def followers_with(self, api_key_id: uuid.UUID) -> int:
        """How many use this key."""
        return sum(each.api_key_id == api_key_id for each in self._followers)

    async def watch(self, database: Database, draining: asyncio.Event) -> None:
        """Look until the process has to end, and then call everybody."""
        look = Periodic("followed_jobs", LOOKS_EVERY_SECONDS, partial(self._look, database))
        async with running(look):
            await draining.wait()
        for follower in self._followers:
            follower.call()

    async def _look(self, database: Database) -> None:
        followed = {follower.job_id for follower in self._followers}
        if not followed:
            return
        query = select(SyncJob.id, SyncJob.last_event).where(SyncJob.id.in_(followed))
        async with database.looking() as session:
            newest = dict((await session.execute(query)).all())
        for follower in self._followers:
            if follower.job_id in followed and _is_news(newest.get(follower.job_id), follower.seen):
                follower.call()


def _is_news(newest: int | None, seen: int) -> bool:
    """That the job is gone is news too."""
    return newest is None or newest > seen
