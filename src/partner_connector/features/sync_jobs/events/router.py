"""`/v1/sync-jobs/{id}/events`: how a job came to be where it is, in pages or as it happens."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Response
from fastapi.sse import EventSourceResponse

from partner_connector.features.sync_jobs.events.schemas import (
    EVENT_ID_PATTERN,
    SyncJobEventPage,
    event_view,
)
from partner_connector.features.sync_jobs.events.stream import require_room, stream
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
        "description": "`id` is the item's id, `event` its type, `data` the item as in a page.",
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
            description="The `id` of the last event that you have: what came later is told.",
            examples=["17"],
        ),
    ] = "0",
    last_event_id: Annotated[
        str | None,
        Header(
            alias="Last-Event-ID",
            max_length=9,
            pattern=EVENT_ID_PATTERN,
            description="The same, as an `EventSource` says it when it comes back to the stream.",
            examples=["17"],
        ),
    ] = None,
) -> Response:
    """Oldest first. An event tells a change of status, of the reason or time of waiting, of the
    phase, or a hundredth of a phase done. A check of all partners tells what its parts add up to.

    With `Accept: text/event-stream` the same events come as they happen, with a comment every 15
    seconds in between. The stream ends by itself after the event that is `final`, when the service
    restarts, and in any case after five minutes (unless the operator chose another time): come back
    with `Last-Event-ID`, and none is lost or told twice. `page_size` and `cursor` do nothing there.
    """
    seen = int(last_event_id or after)
    jobs = SyncJobRepository(session, caller.workspace_id)
    # Before anything is answered: whoever may not follow the job gets a problem, not a stream.
    job = await jobs.get(job_id)
    if form != EVENT_STREAM:
        rows, cursor = await jobs.event_page(page, job, seen)
        return page.answer([event_view(row) for row in rows], cursor)
    require_room(context, caller)
    events = stream(context, caller, job_id, seen)
    # Proxies that buffer would hold the events back.
    headers = {"X-Accel-Buffering": "no", "Vary": "Accept"}
    return EventSourceResponse(events, headers=headers)
