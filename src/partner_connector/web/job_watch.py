"""Notification of the followers of sync jobs about new events.

One query twice a second covers all jobs that are followed in this process; there is no query while
no job is followed. A follower holds no database connection, so a thousand followers cost little
more than one.
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

POLL_SECONDS = 0.5


@dataclass(slots=True, eq=False)
class Follower:
    """Client that follows a job with this API key and has its events up to sequence `seen`."""

    api_key_id: uuid.UUID
    job_id: uuid.UUID
    seen: int
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def notify(self) -> None:
        """Wake the follower up."""
        self._news.set()

    async def wait_for_news(self, seconds: float) -> bool:
        """Wait for a notification. Return False if none comes within `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return False
        # Cleared nowhere else, so that a notification during the follower's work is not lost.
        self._news.clear()
        return True


class JobWatch:
    """The followers in this process, and the query that finds news for them."""

    def __init__(self) -> None:
        self._followers: set[Follower] = set()

    @contextmanager
    def follower(self, api_key_id: uuid.UUID, job_id: uuid.UUID, seen: int) -> Iterator[Follower]:
        """Register a follower for the duration of the block."""
        follower = Follower(api_key_id, job_id, seen)
        self._followers.add(follower)
        try:
            yield follower
        finally:
            self._followers.discard(follower)

    def followers_with(self, api_key_id: uuid.UUID) -> int:
        """Return the number of followers that use this API key."""
        return sum(each.api_key_id == api_key_id for each in self._followers)

    async def watch(self, database: Database, stopping: asyncio.Event) -> None:
        """Poll until the process stops, and then notify all followers."""
        polling = Periodic("followed_jobs", POLL_SECONDS, partial(self._poll, database))
        async with running(polling):
            await stopping.wait()
        for follower in self._followers:
            follower.notify()

    async def _poll(self, database: Database) -> None:
        followed = {follower.job_id for follower in self._followers}
        if not followed:
            return
        query = select(SyncJob.id, SyncJob.last_event).where(SyncJob.id.in_(followed))
        async with database.autocommit_reads() as session:
            newest = dict((await session.execute(query)).all())
        for follower in self._followers:
            if follower.job_id in followed and _is_news(newest.get(follower.job_id), follower.seen):
                follower.notify()


def _is_news(newest: int | None, seen: int) -> bool:
    """Return whether the follower has news. A deleted job counts as news."""
    return newest is None or newest > seen
