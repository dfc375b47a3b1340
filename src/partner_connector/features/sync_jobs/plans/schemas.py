"""The plan of a halted job on the wire."""

from typing import Annotated, Any

from pydantic import Field

from partner_connector.db.models import PlannedChange, SyncJob
from partner_connector.features.changes.schemas import PlannedChangeView
from partner_connector.ids import SyncJobId
from partner_connector.web.schemas import Answer, Body, Count, Instant, Page, open_enum

Digest = Annotated[
    str,
    Field(
        min_length=64,
        max_length=64,
        pattern=r"^[0-9a-f]{64}$",
        description="What this very plan is recognised by.",
        examples=["0123456789abcdef" * 4],
    ),
]


class SyncPlanDecision(Body):
    """Which plan is meant. Without it: the one that the job has now."""

    digest: Digest | None = Field(default=None, examples=["0123456789abcdef" * 4])


class SyncPlanView(Page, Answer):
    """What a halted job would change, a page at a time.

    A job that goes on may halt again with another plan: begin anew when `digest` differs from one
    page to the next.
    """

    job_id: SyncJobId
    digest: Digest
    status: str = open_enum(
        "open",
        "expired",
        "stale",
        "approved",
        "closed",
        description="`open` can be approved. `stale`: the partner's token was replaced since. "
        "`closed`: rejected, cancelled or over.",
    )
    created_at: Instant
    expires_at: Instant | None = Field(description="Until when it can be approved.")
    users: Count = Field(description="Users of the partner now.", examples=[25])
    removals: Count = Field(description="Users who would be removed.", examples=[9])
    safeguard_percent: int = Field(
        ge=0,
        le=100,
        description="More than so many percent need an approval.",
        examples=[20],
    )
    counts: dict[str, Count] = Field(
        description="How many changes of each kind the plan holds.",
        examples=[{"user_left": 9, "access_revoked": 14}],
    )
    items: list[PlannedChangeView] = Field(max_length=100)


def sync_plan_view(
    job: SyncJob,
    plan: dict[str, Any],
    status: str,
    changes: list[PlannedChange],
    next_cursor: str | None,
) -> SyncPlanView:
    """A job's plan as the wire shows it. The token that it was made with is nobody's business."""
    return SyncPlanView(
        job_id=job.id,
        digest=plan["digest"],
        status=status,
        created_at=plan["created_at"],
        expires_at=job.plan_expires_at,
        users=plan["users"],
        removals=plan["removals"],
        safeguard_percent=plan["percent"],
        counts=plan["counts"],
        items=[PlannedChangeView.model_validate(change) for change in changes],
        next_cursor=next_cursor,
    )
