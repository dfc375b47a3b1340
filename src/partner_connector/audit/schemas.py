"""Audit events on the wire."""

from typing import Any

from pydantic import Field

from partner_connector.ids import ApiKeyId, AuditEventId
from partner_connector.pagination import Page
from partner_connector.schemas import Answer, Instant


class AuditEventView(Answer):
    """One decision."""

    id: AuditEventId
    occurred_at: Instant
    api_key_id: ApiKeyId = Field(description="The key that it was done with.")
    action: str = Field(
        max_length=64,
        description="`sync_job.cancelled`, `sync_plan.approved`, `sync_plan.rejected` or "
        "`capabilities.accepted`; expect others.",
        examples=["sync_plan.approved"],
    )
    subject: str = Field(
        max_length=64,
        description="The id of what it was done to.",
        examples=["job_01k9z3v0e8fjt9m2c4r6w8xabc"],
    )
    request_id: str = Field(max_length=128, examples=["req_01k9z3v0e8fjt9m2c4r6w8xabc"])
    details: dict[str, Any] = Field(description="What belongs to it; differs with the action.")


class AuditEventPage(Page):
    """A page of audit events."""

    items: list[AuditEventView] = Field(max_length=100)
