"""Response schemas of audit events."""

from typing import Any

from pydantic import Field

from partner_connector.features.audit.chain import REASONS, Verdict
from partner_connector.ids import ApiKeyId, AuditEventId
from partner_connector.web.schemas import Answer, Instant, Int64, Page

EXAMPLE_ANCHOR = "7:" + "0f" * 32


class AuditEventView(Answer):
    """Record of one decision: its time, actor, action and subject."""

    id: AuditEventId
    occurred_at: Instant
    sequence: Int64 = Field(
        ge=1,
        description="The position of the event in the audit chain of the workspace, from 1.",
        examples=[7],
    )
    hash: str = Field(
        max_length=64,
        description="The hash of this event and of the hash of the event before it.",
        examples=["0f" * 32],
    )
    actor: str = Field(
        max_length=32,
        description="The kind of actor: `api_key`, `worker`, `command_line` or `token_request`. "
        "Expect others.",
        examples=["api_key"],
    )
    api_key_id: ApiKeyId | None = Field(
        description="The API key of the request. Null for actors other than `api_key`."
    )
    action: str = Field(
        max_length=64,
        description="The action, such as `token.activated`, `partner.disconnected`, "
        "`sync_plan.approved` or `api_key.revoked`. Expect others.",
        examples=["sync_plan.approved"],
    )
    subject: str = Field(
        max_length=64,
        description="The id of the resource that the action changed.",
        examples=["job_01k9z3v0e8fjt9m2c4r6w8xabc"],
    )
    request_id: str = Field(max_length=128, examples=["req_01k9z3v0e8fjt9m2c4r6w8xabc"])
    details: dict[str, Any] = Field(
        description="More about the action. The members depend on the action.",
        examples=[{"name": "Acme ad accounts"}],
    )


class AuditEventPage(Page):
    """Page of audit events."""

    items: list[AuditEventView] = Field(max_length=100)


class AuditBreakView(Answer):
    """First place where the audit chain does not hold."""

    sequence: Int64 = Field(
        ge=0,
        description="The sequence at which the chain does not hold.",
        examples=[8],
    )
    reason: str = Field(
        max_length=32,
        description="`missing`: the event does not exist. `altered`: the event, its position or "
        "the hash of the event before it was changed. `not_chained`: an event that the service did "
        "not write. `head_altered`: the chain does not end at the event that the chain head names. "
        "`anchor_differs`: the chain holds, but it is not the chain of the anchor. Expect others.",
        json_schema_extra={"x-extensible-enum": list(REASONS)},
        examples=["altered"],
    )
    event_id: AuditEventId | None = Field(
        description="The event at this place. Null if there is none."
    )


class AuditVerification(Answer):
    """Result of the verification of an audit chain."""

    intact: bool = Field(
        description="True if the verification found no break. Without an `anchor` it cannot find "
        "events that were removed from the end of the chain together with the chain head."
    )
    events: Int64 = Field(
        ge=0,
        description="The number of events, from the first one, for which the chain holds.",
        examples=[7],
    )
    anchor: str = Field(
        max_length=90,
        description="The last of these events as `SEQUENCE:HASH`. Store it outside of this service "
        "and send it with a later verification: then events removed from the end are found too.",
        examples=[EXAMPLE_ANCHOR],
    )
    broken: AuditBreakView | None = Field(description="Null while the chain is intact.")


def audit_verification(verdict: Verdict) -> AuditVerification:
    """Return the response for the verdict on a chain."""
    broken = AuditBreakView.model_validate(verdict.broken) if verdict.broken else None
    return AuditVerification(
        intact=broken is None, events=verdict.events, anchor=str(verdict.end), broken=broken
    )
