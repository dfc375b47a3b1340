"""Sync jobs on the wire."""

from pydantic import Field

from partner_connector.db.models import SyncJob
from partner_connector.ids import IntegrationId, PartnerId, SyncJobId
from partner_connector.web.schemas import Answer, Body, Count, Instant, Page, open_enum

STATUS_LABELS = {
    "queued": "Queued",
    "running": "Running",
    "waiting": "Retrying",
    "halted": "Halted",
    "completed": "Complete",
    "failed": "Not completed",
    "cancelled": "Cancelled",
}


class SyncJobCreate(Body):
    """A check for updates takes no options yet: send `{}` or nothing."""


class SyncProgress(Answer):
    """How far the job is. `done` and `total` count the units of this phase."""

    phase: str = open_enum(
        "queued",
        "listing_partners",
        "checking_partners",
        "listing_assets",
        "listing_people",
        "reading_access",
        "applying",
        "finished",
        description="What the job is at.",
    )
    done: Count = Field(examples=[12])
    total: Count | None = Field(description="Null while unknown.", examples=[40])


class SyncCounts(Answer):
    """What was found: partners in `sync_integration`, partner users in `sync_partner`."""

    seen: Count = Field(examples=[25])
    added: Count = Field(examples=[2])
    changed: Count = Field(examples=[1])
    removed: Count = Field(examples=[0])
    unchanged: Count = Field(examples=[22])


class SyncWarning(Answer):
    """Something that could not be read, and what follows."""

    code: str = Field(max_length=64, examples=["edge_refused"])
    edge: str | None = Field(
        max_length=100, description="What Meta calls the list.", examples=["business_users"]
    )
    detail: str = Field(
        max_length=1000,
        description="The same for people.",
        examples=["Meta refused to list the people; those who are known were kept."],
    )


class MetaError(Answer):
    """What Meta said, for a support case there."""

    code: int | None = Field(ge=-(2**31), le=2**31 - 1, description="Its code.", examples=[190])
    subcode: int | None = Field(
        ge=-(2**31), le=2**31 - 1, description="Its error_subcode.", examples=[463]
    )
    fbtrace_id: str | None = Field(
        max_length=100, description="Name it to Meta's support.", examples=["AbCdEf123456789"]
    )


class SyncError(Answer):
    """Why the job did not complete."""

    code: str = Field(max_length=64, examples=["token_dead"])
    error_class: str = Field(
        max_length=32,
        alias="class",
        description="`configuration`, `permission`, `rate_limit`, `transient` or `internal`; "
        "expect others.",
        examples=["configuration"],
    )
    user_action: str = Field(
        max_length=64, description="What helps, stable.", examples=["reconnect_token"]
    )
    detail: str = Field(
        max_length=1000, description="The same for people.", examples=["The token has expired."]
    )
    meta: MetaError


class SyncJobView(Answer):
    """One check for updates."""

    id: SyncJobId
    integration_id: IntegrationId
    partner_id: PartnerId | None = Field(description="Null in one of all partners.")
    parent_id: SyncJobId | None = Field(description="The one of all partners that it belongs to.")
    task: str = open_enum("sync_integration", "sync_partner", description="What is checked.")
    trigger: str = open_enum("api", "schedule", "connect", description="Who asked.")
    status: str = open_enum(*STATUS_LABELS, description="Where the job is.")
    status_label: str = Field(max_length=100, description="The same in words.", examples=["Queued"])
    waiting_reason: str | None = Field(
        max_length=64,
        description="`rate_limited` or `retrying` while `waiting`; expect others.",
        examples=[None],
    )
    resume_at: Instant | None = Field(description="When a waiting job goes on.")
    progress: SyncProgress
    counts: SyncCounts
    graph_calls: Count = Field(description="Calls to Meta, as Meta counts.", examples=[17])
    attempt: int = Field(ge=1, le=2147483647, description="More than 1: retried.", examples=[1])
    partial: bool = Field(description="True where something could not be read; see `warnings`.")
    warnings: list[SyncWarning] = Field(max_length=1000)
    error: SyncError | None
    plan_expires_at: Instant | None = Field(
        description="Until when the plan of a job that the safeguard halted can be approved; null "
        "where it never halted."
    )
    created_at: Instant
    started_at: Instant | None
    finished_at: Instant | None
    updated_at: Instant


class SyncJobPage(Page):
    """A page of jobs."""

    items: list[SyncJobView] = Field(max_length=100)


def sync_job_view(job: SyncJob) -> SyncJobView:
    """A job row as the wire shows it."""
    return SyncJobView.of(
        job,
        status_label=STATUS_LABELS[job.status],
        progress=SyncProgress.model_validate(job),
        counts=SyncCounts.model_validate(job),
        error=None if job.error is None else SyncError.model_validate(job.error),
    )
