"""What happens to a sync job, as it happens: server-sent events.

Between two events the stream holds no transaction and no connection; `JobWatch` tells it when to
read on. It ends after the job's last event, when the process has to end, and in any case after
`EVENT_STREAM_SECONDS`: the client comes back with the id of the last event that it has.
"""

import time
import uuid
from collections.abc import AsyncIterator

from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event

from partner_connector.credentials import Caller
from partner_connector.db.models import SyncJobEvent
from partner_connector.db.models.sync_job_event import is_over
from partner_connector.errors import NotFound, RateLimited
from partner_connector.features.sync_jobs.events.schemas import event_view
from partner_connector.features.sync_jobs.repository import SyncJobRepository
from partner_connector.web.context import ApiContext

HEARTBEAT_SECONDS = 15.0
# One takes about 30 KiB: so many of them cost less than one large answer of Meta's.
STREAMS_PER_KEY = 500
_LOOK_AGAIN_SECONDS = 5
# Of one read, and so of what a slow client makes us keep.
_AT_A_TIME = 100


class TooManyStreams(RateLimited):
    """The key has 500 event streams open at this API process."""

    code = "too_many_streams"
    title = "Too many open streams"
    description = "Close streams that nobody needs, or read the events in pages."


def require_room(context: ApiContext, caller: Caller) -> None:
    """Raise `TooManyStreams` where the key has enough of them. Those that begin in the same instant
    are counted by the next one.
    """
    if context.job_watch.followers_with(caller.api_key_id) >= STREAMS_PER_KEY:
        raise TooManyStreams(retry_after=_LOOK_AGAIN_SECONDS)


async def stream(
    context: ApiContext, caller: Caller, job_id: uuid.UUID, after: int
) -> AsyncIterator[bytes]:
    """Every event after that one. The caller has made sure that the job is there."""
    ends_at = time.monotonic() + context.settings.event_stream_seconds
    with context.job_watch.follower(caller.api_key_id, job_id, after) as follower:
        # At once, so that the client knows that it is heard.
        yield KEEPALIVE_COMMENT
        while not context.draining.is_set():
            events, is_all = await _read(context, caller.workspace_id, job_id, follower.seen)
            for event in events:
                yield _on_the_wire(event)
                follower.seen = event.id
            if is_all:
                return
            if len(events) == _AT_A_TIME:
                continue
            # A call to end that came while events were read is looked for here: they silence it.
            while not context.draining.is_set() and not await follower.news(_pause(ends_at)):
                if time.monotonic() >= ends_at:
                    return
                yield KEEPALIVE_COMMENT


async def _read(
    context: ApiContext, workspace_id: uuid.UUID, job_id: uuid.UUID, after: int
) -> tuple[list[SyncJobEvent], bool]:
    """The next events, and whether none will follow them."""
    async with context.database.reading() as session:
        jobs = SyncJobRepository(session, workspace_id)
        try:
            # The job first: where it is over, its last event is there as well. It may also end in
            # between, and then its last event tells so.
            job = await jobs.get(job_id)
        except NotFound:
            # Deleted meanwhile, with its events.
            return [], True
        events = await jobs.events_after(job, after, at_most=_AT_A_TIME)
    if events and events[-1].final:
        return events, True
    return events, is_over(job.status, job.phase) and len(events) < _AT_A_TIME


def _pause(ends_at: float) -> float:
    return max(0.0, min(HEARTBEAT_SECONDS, ends_at - time.monotonic()))


def _on_the_wire(event: SyncJobEvent) -> bytes:
    view = event_view(event)
    return format_sse_event(data_str=view.model_dump_json(), event=view.type, id=view.id)
