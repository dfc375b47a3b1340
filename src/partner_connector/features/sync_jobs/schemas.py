"""Request and response models of sync jobs."""

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
    """Request of a check for updates. There are no options yet: send `{}` or no body."""


class SyncProgress(Answer):
    """Progress of the job. `done` and `total` count the units of the current phase."""

    phase: str = open_enum(
        "queued",
        "listing_partners",
        "checking_partners",
        "listing_assets",
        "listing_people",
        "reading_access",
        "applying",
        "finished",
        description="Phase that the job is in.",
    )
    done: Count = Field(examples=[12])
    total: Count | None = Field(description="Null while the total is not known.", examples=[40])


class SyncCounts(Answer):
    """Counts of partners (`sync_integration` job) or of partner users (`sync_partner` job)."""

    seen: Count = Field(examples=[25])
    added: Count = Field(examples=[2])
    changed: Count = Field(examples=[1])
    removed: Count = Field(examples=[0])
    unchanged: Count = Field(examples=[22])


class SyncWarning(Answer):
    """Data that the job could not read, and what the job did instead."""

    code: str = Field(max_length=64, examples=["edge_refused"])
    edge: str | None = Field(
        max_length=100,
        description="Edge of the Graph API that was read.",
        examples=["business_users"],
    )
    detail: str = Field(
        max_length=1000,
        description="Explanation of the warning for people.",
        examples=["Meta refused to list the people; the known people were kept."],
    )


class MetaError(Answer):
    """Meta's own error, for a support case at Meta."""

    code: int | None = Field(
        ge=-(2**31), le=2**31 - 1, description="Meta's error code.", examples=[190]
    )
    subcode: int | None = Field(
        ge=-(2**31), le=2**31 - 1, description="Meta's `error_subcode`.", examples=[463]
    )
    fbtrace_id: str | None = Field(
        max_length=100,
        description="Id of the failed call. Give it to Meta's support.",
        examples=["AbCdEf123456789"],
    )


class SyncError(Answer):
    """Reason why the job did not complete."""

    code: str = Field(max_length=64, examples=["token_dead"])
    error_class: str = Field(
        max_length=32,
        alias="class",
        description="`configuration`, `permission`, `rate_limit`, `transient` or `internal`; "
        "expect others.",
        examples=["configuration"],
    )
    user_action: str = Field(
        max_length=64,
        description="Stable code of the action that solves the problem.",
        examples=["reconnect_token"],
    )
    detail: str = Field(
        max_length=1000,
        description="Explanation of the error for people.",
        examples=["The token has expired."],
    )
    meta: MetaError


class SyncJobView(Answer):
    """Sync job: a check for updates of all partners, or of one partner."""

    id: SyncJobId
    integration_id: IntegrationId
    partner_id: PartnerId | None = Field(description="Null in a check of all partners.")
    parent_id: SyncJobId | None = Field(
        description="Check of all partners that started this job. Null for a job without a parent."
    )
    task: str = open_enum(
        "sync_integration",
        "sync_partner",
        description="`sync_integration` checks all partners, `sync_partner` one partner.",
    )
    trigger: str = open_enum(
        "api",
        "schedule",
        "connect",
        description="What started the job: an API call, the daily schedule, or a connect.",
    )
    status: str = open_enum(*STATUS_LABELS, description="Status of the job.")
    status_label: str = Field(
        max_length=100, description="Status in words for people.", examples=["Queued"]
    )
    waiting_reason: str | None = Field(
        max_length=64,
        description="`rate_limited` or `retrying` while `waiting`; expect others.",
        examples=[None],
    )
    resume_at: Instant | None = Field(description="Time at which a waiting job continues.")
    progress: SyncProgress
    counts: SyncCounts
    graph_calls: Count = Field(
        description="Number of calls to Meta so far, as Meta counts calls for its rate limits.",
        examples=[17],
    )
    attempt: int = Field(
        ge=1,
        le=2147483647,
        description="Number of the present attempt, from 1. It grows with each retry and with an "
        "approved plan.",
        examples=[1],
    )
    partial: bool = Field(description="True if some data could not be read: see `warnings`.")
    warnings: list[SyncWarning] = Field(max_length=1000)
    error: SyncError | None
    plan_expires_at: Instant | None = Field(
        description="Time until which the plan of a halted job can be approved. Null if the "
        "safeguard never halted the job."
    )
    created_at: Instant
    started_at: Instant | None
    finished_at: Instant | None
    updated_at: Instant


class SyncJobPage(Page):
    """Page of sync jobs."""

    items: list[SyncJobView] = Field(max_length=100)


def sync_job_view(job: SyncJob) -> SyncJobView:
    """Convert a row to the response model."""
    return SyncJobView.of(
        job,
        status_label=STATUS_LABELS[job.status],
        progress=SyncProgress.model_validate(job),
        counts=SyncCounts.model_validate(job),
        error=None if job.error is None else SyncError.model_validate(job.error),
    )
