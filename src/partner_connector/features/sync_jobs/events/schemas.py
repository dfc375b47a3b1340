"""What happened to a sync job, on the wire: the same in a page and in a stream."""

from typing import Annotated

from pydantic import Field

from partner_connector.db.models import SyncJobEvent
from partner_connector.features.sync_jobs.schemas import STATUS_LABELS, SyncCounts, SyncProgress
from partner_connector.web.schemas import Answer, Instant, Page, open_enum

# As many digits as surely fit: a job has some hundred events.
EVENT_ID_PATTERN = r"^[0-9]{1,9}$"
EventId = Annotated[str, Field(pattern=EVENT_ID_PATTERN, max_length=9, examples=["17"])]


class SyncJobEventView(Answer):
    """A job as it was after one change. Names nobody."""

    id: EventId = Field(
        description="Counts the events of this job from 1; the `id` of the stream as well."
    )
    type: str = open_enum(
        "status_changed",
        "progress",
        description="`status_changed` where status, reason or time of waiting changed, or the job "
        "ended; `progress` where it only came further.",
    )
    occurred_at: Instant
    status: str = open_enum(*STATUS_LABELS, description="Where the job was.")
    status_label: str = Field(max_length=100, examples=["Running"])
    waiting_reason: str | None = Field(
        max_length=64,
        description="`rate_limited` or `retrying` while `waiting`; expect others.",
        examples=[None],
    )
    resume_at: Instant | None = Field(description="When a waiting job goes on.")
    progress: SyncProgress
    counts: SyncCounts
    attempt: int = Field(ge=1, le=2147483647, description="More than 1: retried.", examples=[1])
    partial: bool
    error_code: str | None = Field(
        max_length=64, description="Why it failed; the job tells more.", examples=[None]
    )
    final: bool = Field(description="No event follows this one.")


class SyncJobEventPage(Page):
    """A page of what happened to a job."""

    items: list[SyncJobEventView] = Field(max_length=100)


def event_view(event: SyncJobEvent) -> SyncJobEventView:
    """An event's row as the wire shows it."""
    return SyncJobEventView.of(
        event,
        id=str(event.id),
        status_label=STATUS_LABELS[event.status],
        progress=SyncProgress.model_validate(event),
        counts=SyncCounts.model_validate(event),
    )
