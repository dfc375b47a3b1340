"""Operation of `/v1/sync-jobs/{id}/events`: the events of a job, in pages or as a stream."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Response
from fastapi.sse import EventSourceResponse

from partner_connector.features.sync_jobs.events.schemas import (
    EVENT_ID_PATTERN,
    SyncJobEventPage,
    event_view,
)
from partner_connector.features.sync_jobs.events.stream import require_stream_capacity, stream
from partner_connector.features.sync_jobs.repository import SyncJobRepository
from partner_connector.ids import SyncJobId
from partner_connector.web.dependencies import ContextDep, PageDep, ReadSession, SyncsReader
from partner_connector.web.negotiation import EVENT_STREAM, JsonOrEventStream

router = APIRouter(prefix="/v1/sync-jobs", tags=["Sync jobs"])

_STREAM = {
    "schema": {
        "type": "string",
        "maxLength": 1_000_000,
        "pattern": r"^[\s\S]*$",
        "description": "Server-sent events. `id` is the `id` of the item, `event` its `type`, and "
        "`data` the item as in a page.",
    },
    "example": ': ping\n\nevent: status_changed\ndata: {"id": "1", …}\nid: 1\n\n',
}


@router.get(
    "/{job_id}/events",
    operation_id="listSyncJobEvents",
    summary="Follow a sync job",
    response_model=SyncJobEventPage,
    responses={200: {"content": {EVENT_STREAM: _STREAM}}},
)
async def list_sync_job_events(
    job_id: SyncJobId,
    caller: SyncsReader,
    context: ContextDep,
    session: ReadSession,
    form: JsonOrEventStream,
    page: PageDep,
    after: Annotated[
        str,
        Query(
            max_length=9,
            pattern=EVENT_ID_PATTERN,
            description="The `id` of the last event that you have. Later events are returned.",
            examples=["17"],
        ),
    ] = "0",
    last_event_id: Annotated[
        str | None,
        Header(
            alias="Last-Event-ID",
            max_length=9,
            pattern=EVENT_ID_PATTERN,
            description="Same meaning as `after`. A browser's `EventSource` sends it when it "
            "reconnects.",
            examples=["17"],
        ),
    ] = None,
) -> Response:
    """Return the events of a job, oldest first. Use it to show the progress of a job. There is an
    event for each change of the status, of the phase, or of the reason or end of a wait, and for
    each hundredth of a phase. After 400 events of a job, only changes of its status make
    events. The events of a check of all partners summarize its checks of single partners.

    With `Accept: text/event-stream`, each event is sent when it happens, and a comment is sent
    after 15 seconds without an event. The stream ends after the event that is `final`, when the
    service restarts, and at the latest after five minutes, unless the operator set another time.
    Reconnect with `Last-Event-ID`: then no event is lost or sent twice. `page_size` and
    `cursor` have no effect on a stream.
    """
    seen = int(last_event_id or after)
    jobs = SyncJobRepository(session, caller.workspace_id)
    # Read the job before the response begins: an unknown job must give a problem, not a stream.
    job = await jobs.get(job_id)
    if form != EVENT_STREAM:
        rows, cursor = await jobs.event_page(page, job, seen)
        return page.answer([event_view(row) for row in rows], cursor)
    require_stream_capacity(context, caller)
    events = stream(context, caller, job_id, seen)
    # A proxy that buffers would delay the events.
    headers = {"X-Accel-Buffering": "no", "Vary": "Accept"}
    return EventSourceResponse(events, headers=headers)
