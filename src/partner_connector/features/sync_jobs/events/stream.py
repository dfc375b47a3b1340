"""Stream of a job's events: server-sent events.

Between two events a stream holds no transaction and no database connection; `JobWatch` wakes it.
A stream ends after the job's last event, when the process stops, and at the latest after
`EVENT_STREAM_SECONDS`. The client then reconnects with the id of the last event that it received.
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
# A stream takes about 30 KiB, so 500 streams take less memory than one large response of Meta.
STREAMS_PER_KEY = 500
_RETRY_AFTER_SECONDS = 5
# Maximum number of events of one read. No more events are kept in memory for a slow client.
_BATCH_SIZE = 100


class TooManyStreams(RateLimited):
    """The key has 500 event streams open at this API process."""

    code = "too_many_streams"
    title = "Too many open streams"
    description = (
        "Close streams that you no longer need and try again, or read the events in pages, without "
        "`Accept: text/event-stream`."
    )


def require_stream_capacity(context: ApiContext, caller: Caller) -> None:
    """Raise `TooManyStreams` if the API key already has `STREAMS_PER_KEY` open streams.

    Streams that start at the same instant can exceed the limit, since none counts the others.
    """
    if context.job_watch.followers_with(caller.api_key_id) >= STREAMS_PER_KEY:
        raise TooManyStreams(retry_after=_RETRY_AFTER_SECONDS)


async def stream(
    context: ApiContext, caller: Caller, job_id: uuid.UUID, after: int
) -> AsyncIterator[bytes]:
    """Yield the encoded events after the event `after` when they happen.

    The caller ensures that the job exists.
    """
    ends_at = time.monotonic() + context.settings.event_stream_seconds
    with context.job_watch.follower(caller.api_key_id, job_id, after) as follower:
        # Sent at once, so that the client sees that the stream is open.
        yield KEEPALIVE_COMMENT
        while not context.stopping.is_set():
            events, is_complete = await _read(context, caller.workspace_id, job_id, follower.seen)
            for event in events:
                yield _encode(event)
                follower.seen = event.id
            if is_complete:
                return
            if len(events) == _BATCH_SIZE:
                continue
            # Check `stopping` again: one notification can stand for new events and for a stop.
            while not context.stopping.is_set() and not await follower.wait_for_news(
                _seconds_to_wait(ends_at)
            ):
                if time.monotonic() >= ends_at:
                    return
                yield KEEPALIVE_COMMENT


async def _read(
    context: ApiContext, workspace_id: uuid.UUID, job_id: uuid.UUID, after: int
) -> tuple[list[SyncJobEvent], bool]:
    """Return the next events, and whether they are the last ones."""
    async with context.database.reading() as session:
        jobs = SyncJobRepository(session, workspace_id)
        try:
            # Read the job before its events: if it has ended, its last event is stored too. If it
            # ends between the two reads, the second read returns its last event.
            job = await jobs.get(job_id)
        except NotFound:
            # The job was deleted with its events.
            return [], True
        events = await jobs.events_after(job, after, limit=_BATCH_SIZE)
    if events and events[-1].final:
        return events, True
    return events, is_over(job.status, job.phase) and len(events) < _BATCH_SIZE


def _seconds_to_wait(ends_at: float) -> float:
    return max(0.0, min(HEARTBEAT_SECONDS, ends_at - time.monotonic()))


def _encode(event: SyncJobEvent) -> bytes:
    view = event_view(event)
    return format_sse_event(data_str=view.model_dump_json(), event=view.type, id=view.id)
