"""Response models of job events, the same in pages and streams."""

from typing import Annotated

from pydantic import Field

from partner_connector.db.models import SyncJobEvent
from partner_connector.features.sync_jobs.schemas import STATUS_LABELS, SyncCounts, SyncProgress
from partner_connector.web.schemas import Answer, Instant, Page, open_enum

# More digits than needed: a job has some hundred events.
EVENT_ID_PATTERN = r"^[0-9]{1,9}$"
EventId = Annotated[str, Field(pattern=EVENT_ID_PATTERN, max_length=9, examples=["17"])]


class SyncJobEventView(Answer):
    """State of a job after one change. It contains no personal data."""

    id: EventId = Field(
        description="Number of the event in its job, from 1. It is the `id` in a stream too."
    )
    type: str = open_enum(
        "status_changed",
        "progress",
        description="`status_changed` if the status, the reason or the end of a wait has changed, "
        "or the job has ended; `progress` if only the progress has changed.",
    )
    occurred_at: Instant
    status: str = open_enum(*STATUS_LABELS, description="Status of the job after the change.")
    status_label: str = Field(max_length=100, examples=["Running"])
    waiting_reason: str | None = Field(
        max_length=64,
        description="`rate_limited` or `retrying` while `waiting`; expect others.",
        examples=[None],
    )
    resume_at: Instant | None = Field(description="Time at which a waiting job continues.")
    progress: SyncProgress
    counts: SyncCounts
    attempt: int = Field(
        ge=1,
        le=2147483647,
        description="Number of the present attempt, from 1. It grows with each retry and with an "
        "approved plan.",
        examples=[1],
    )
    partial: bool
    error_code: str | None = Field(
        max_length=64, description="Code of the error. The job has its details.", examples=[None]
    )
    final: bool = Field(description="True for the last event of the job.")


class SyncJobEventPage(Page):
    """Page of job events."""

    items: list[SyncJobEventView] = Field(max_length=100)


def event_view(event: SyncJobEvent) -> SyncJobEventView:
    """Convert a row to the response model."""
    return SyncJobEventView.of(
        event,
        id=str(event.id),
        status_label=STATUS_LABELS[event.status],
        progress=SyncProgress.model_validate(event),
        counts=SyncCounts.model_validate(event),
    )
