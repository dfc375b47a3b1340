"""Audit events on the wire."""

from typing import Any

from pydantic import Field

from partner_connector.features.audit.chain import REASONS, Verdict
from partner_connector.ids import ApiKeyId, AuditEventId
from partner_connector.web.schemas import Answer, Instant, Int64, Page

EXAMPLE_ANCHOR = "7:" + "0f" * 32


class AuditEventView(Answer):
    """One decision."""

    id: AuditEventId
    occurred_at: Instant
    sequence: Int64 = Field(
        ge=1,
        description="Its place in the chain of this workspace's events.",
        examples=[7],
    )
    hash: str = Field(
        max_length=64,
        description="Covers the event and the hash of the one before.",
        examples=["0f" * 32],
    )
    actor: str = Field(
        max_length=32,
        description="`api_key`, `worker`, `command_line` or `token_request`; expect others.",
        examples=["api_key"],
    )
    api_key_id: ApiKeyId | None = Field(description="The key that it was done with, if it was one.")
    action: str = Field(
        max_length=64,
        description="What was done, as `token.activated`, `partner.disconnected`, "
        "`sync_plan.approved` or `api_key.revoked`; expect others.",
        examples=["sync_plan.approved"],
    )
    subject: str = Field(
        max_length=64,
        description="The id of what it was done to.",
        examples=["job_01k9z3v0e8fjt9m2c4r6w8xabc"],
    )
    request_id: str = Field(max_length=128, examples=["req_01k9z3v0e8fjt9m2c4r6w8xabc"])
    details: dict[str, Any] = Field(
        description="What belongs to it; differs with the action.",
        examples=[{"name": "Acme ad accounts"}],
    )


class AuditEventPage(Page):
    """A page of audit events."""

    items: list[AuditEventView] = Field(max_length=100)


class AuditBreakView(Answer):
    """The first place where the chain of events does not hold."""

    sequence: Int64 = Field(
        ge=0,
        description="Where it was expected to go on.",
        examples=[8],
    )
    reason: str = Field(
        max_length=32,
        description="`missing`: the event is not there. `altered`: it, its place or what it rests "
        "on is not as it was written. `not_chained`: a row that the service did not write. "
        "`head_altered`: the events end elsewhere than they should. `anchor_differs`: they hold "
        "together, but are not those that the anchor was taken of. Expect others.",
        json_schema_extra={"x-extensible-enum": list(REASONS)},
        examples=["altered"],
    )
    event_id: AuditEventId | None = Field(description="The event, if there is one.")


class AuditVerification(Answer):
    """Whether every event is as it was written, and none is missing."""

    intact: bool = Field(description="Whether nothing was found.")
    events: Int64 = Field(
        ge=0,
        description="How many hold together, from the first one on.",
        examples=[7],
    )
    anchor: str = Field(
        max_length=90,
        description="The last of these as `SEQUENCE:HASH`. Keep it outside, and give it back "
        "later: then events that were taken from the end show too.",
        examples=[EXAMPLE_ANCHOR],
    )
    broken: AuditBreakView | None = Field(description="Null while the chain is intact.")


def audit_verification(verdict: Verdict) -> AuditVerification:
    """What following the chain found."""
    broken = AuditBreakView.model_validate(verdict.broken) if verdict.broken else None
    return AuditVerification(
        intact=broken is None, events=verdict.events, anchor=str(verdict.end), broken=broken
    )
