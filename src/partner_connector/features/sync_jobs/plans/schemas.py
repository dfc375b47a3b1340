"""Request and response models of plans."""

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
        description="SHA-256 digest of the changes in the plan, in hexadecimal. A plan with other "
        "changes has another digest.",
        examples=["0123456789abcdef" * 4],
    ),
]


class SyncPlanDecision(Body):
    """Decision on a plan. Without `digest`, it applies to the present plan of the job."""

    digest: Digest | None = Field(default=None, examples=["0123456789abcdef" * 4])


class SyncPlanView(Page, Answer):
    """Page of the changes that a halted job would make.

    A job can halt a second time with another plan. If `digest` differs between two pages, read the
    plan again from its first page.
    """

    job_id: SyncJobId
    digest: Digest
    status: str = open_enum(
        "open",
        "expired",
        "stale",
        "approved",
        "closed",
        description="`open`: the plan can be approved. `expired`: `expires_at` has passed. "
        "`stale`: the partner's token was replaced after the plan was made. `approved`: the plan "
        "was approved. `closed`: the plan was rejected, or the job was cancelled or has ended.",
    )
    created_at: Instant
    expires_at: Instant | None = Field(description="Time until which the plan can be approved.")
    users: Count = Field(
        description="Number of active users of the partner when the plan was made.", examples=[25]
    )
    removals: Count = Field(description="Number of users that would be removed.", examples=[9])
    safeguard_percent: int = Field(
        ge=0,
        le=100,
        description="The integration's `safeguard_percent` when the plan was made.",
        examples=[20],
    )
    counts: dict[str, Count] = Field(
        description="Number of changes of each kind in the plan.",
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
    """Convert a plan to the response model, without the id of the token that it was made with."""
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
