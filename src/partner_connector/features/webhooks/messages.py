"""Bodies of webhook messages, made from the rows of the outbox.

A body contains ids and states, and no names. The receiver reads names from the API, with an
API key that has the scope. So a leaked message does not identify a person.
"""

from typing import Annotated, Any

from pydantic import Field

from partner_connector.db.models import WebhookEvent
from partner_connector.db.models.token import HEALTHS
from partner_connector.features.webhooks.event_types import TEST, EventType
from partner_connector.ids import (
    IntegrationId,
    PartnerId,
    PartnerUserId,
    SyncJobId,
    TokenId,
    WebhookEndpointId,
    encode,
)
from partner_connector.web.schemas import Answer, Instant, Int64, open_enum

ReasonCode = Annotated[str, Field(max_length=64, examples=["token_expired"])]


class EventData(Answer):
    """Data that every event has."""

    sequence: Int64 = Field(
        ge=0,
        description="Number that grows with each event of a workspace. Of two events about one "
        "resource the one with the greater number is later.",
        examples=[1042],
    )
    integration_id: IntegrationId


class PartnerEventData(EventData):
    """Data of an event about a partner."""

    partner_id: PartnerId
    onboarding_status: str | None = open_enum(
        "pending_onboarding",
        "onboarded",
        "needs_attention",
        description="Status of the partner. Null if the event is not about the status.",
    )
    job_id: SyncJobId | None = Field(
        description="Sync job that found the change. Null if no job did."
    )
    change_sequence: int | None = Field(
        ge=1,
        le=2**53 - 1,
        description="Sequence of the same change in `/v1/changes`.",
        examples=[731],
        json_schema_extra={"format": "int64"},
    )


class TokenEventData(EventData):
    """Data of an event about a token. It is our own business's token if `partner_id` is null."""

    partner_id: PartnerId | None
    token_id: TokenId
    version: int = Field(ge=1, le=2147483647, description="Version of the token.", examples=[2])
    health: str = open_enum(*HEALTHS, description="Health of the token, as `health` in the API.")
    reasons: list[ReasonCode] = Field(
        max_length=100,
        description="Codes of the reasons, as in `health_reasons`.",
        examples=[["token_expired"]],
    )


class SyncJobEventData(EventData):
    """Data of an event about a sync job."""

    partner_id: PartnerId | None = Field(description="Null for a check of all partners.")
    job_id: SyncJobId
    task: str = open_enum(
        "sync_integration",
        "sync_partner",
        description="Kind of the job: all partners, or one partner.",
    )
    trigger: str = open_enum("api", "schedule", "connect", description="What started the job.")
    status: str = open_enum(
        "completed", "failed", "halted", "cancelled", description="Status of the job."
    )
    partial: bool = Field(description="True if some data could not be read.")
    error_code: str | None = Field(
        max_length=64, description="Code of the job's `error`.", examples=["token_dead"]
    )


class PartnerUserEventData(EventData):
    """Data of an event about a partner user. Read `/v1/partner-users/{id}` for more."""

    partner_id: PartnerId
    partner_user_id: PartnerUserId
    job_id: SyncJobId
    change_sequence: Int64 = Field(
        ge=1,
        description="Sequence of the change in `/v1/changes`. If the event is about several "
        "changes, it is the first sequence.",
        examples=[731],
    )


class TestEventData(Answer):
    """Data of a test event."""

    sequence: int = Field(ge=0, le=0, description="Always 0.", examples=[0])
    endpoint_id: WebhookEndpointId = Field(description="Endpoint that the test is for.")


class _Message(Answer):
    """Envelope of Standard Webhooks."""

    type: str = Field(max_length=32, examples=["partner.connected"])
    timestamp: Instant = Field(description="Time of the event, not of the attempt.")


class PartnerEvent(_Message):
    """Message about a partner."""

    data: PartnerEventData


class TokenEvent(_Message):
    """Message about an active token."""

    data: TokenEventData


class SyncJobEventMessage(_Message):
    """Message about a sync job that ended or halted."""

    data: SyncJobEventData


class PartnerUserEvent(_Message):
    """Message about the access of a partner user."""

    data: PartnerUserEventData


class TestEvent(_Message):
    """Test message."""

    data: TestEventData


Message = PartnerEvent | TokenEvent | SyncJobEventMessage | PartnerUserEvent | TestEvent

_FAMILIES: dict[str, type[Message]] = {
    "partner": PartnerEvent,
    "token": TokenEvent,
    "sync_job": SyncJobEventMessage,
    "partner_user": PartnerUserEvent,
    TEST.split(".", maxsplit=1)[0]: TestEvent,
}


def message_model(event_type: EventType | str) -> type[Message]:
    """Return the model of messages of this type."""
    return _FAMILIES[event_type.split(".", maxsplit=1)[0]]


def message_body(event: WebhookEvent) -> str:
    """Return the JSON body for an event that has a sequence. It is the same in every attempt."""
    family = message_model(event.type)
    data: dict[str, Any] = dict(event.states or {})
    for name in family.model_fields["data"].annotation.model_fields:  # type: ignore[union-attr]
        data.setdefault(name, getattr(event, name, None))
    message = family.model_validate(
        {"type": event.type, "timestamp": event.occurred_at, "data": data}
    )
    return message.model_dump_json()


def message_id(event: WebhookEvent) -> str:
    """Return the event's `webhook-id`."""
    assert event.message_id is not None, "only numbered events are sent"
    return encode("msg", event.message_id)
