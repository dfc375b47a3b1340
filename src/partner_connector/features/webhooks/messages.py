"""What is sent: thin bodies of ids and states, from the rows of the outbox.

Who an event is about is asked of the API, with a key that may know; a message that is read by
somebody else tells them nothing.
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
    """What every event tells."""

    sequence: Int64 = Field(
        ge=0,
        description="Grows from event to event of a workspace. Of two states of one thing the one "
        "with the greater sequence is the later one.",
        examples=[1042],
    )
    integration_id: IntegrationId


class PartnerEventData(EventData):
    """Which partner, and where it is now."""

    partner_id: PartnerId
    onboarding_status: str | None = open_enum(
        "pending_onboarding",
        "onboarded",
        "needs_attention",
        description="Null where the event says nothing of it.",
    )
    job_id: SyncJobId | None = Field(description="The check that found it, if one did.")
    change_sequence: int | None = Field(
        ge=1,
        le=2**53 - 1,
        description="The change in `/v1/changes` that tells the same.",
        examples=[731],
        json_schema_extra={"format": "int64"},
    )


class TokenEventData(EventData):
    """Which token, and how it does. Without a partner it is our own business's."""

    partner_id: PartnerId | None
    token_id: TokenId
    version: int = Field(ge=1, le=2147483647, description="Which of its tokens.", examples=[2])
    health: str = open_enum(*HEALTHS, description="As in the token's metadata.")
    reasons: list[ReasonCode] = Field(
        max_length=100, description="Codes, as in `health_reasons`.", examples=[["token_expired"]]
    )


class SyncJobEventData(EventData):
    """Which check for updates, and how it ended or why it stands still."""

    partner_id: PartnerId | None = Field(description="Null for a check of all partners.")
    job_id: SyncJobId
    task: str = open_enum("sync_integration", "sync_partner", description="What was checked.")
    trigger: str = open_enum("api", "schedule", "connect", description="What started it.")
    status: str = open_enum(
        "completed", "failed", "halted", "cancelled", description="What became of it."
    )
    partial: bool = Field(description="Whether something could not be read.")
    error_code: str | None = Field(
        max_length=64, description="As in the job's `error`.", examples=["token_dead"]
    )


class PartnerUserEventData(EventData):
    """Which person or system user, by id. Read `/v1/partner-users/{id}` for more."""

    partner_id: PartnerId
    partner_user_id: PartnerUserId
    job_id: SyncJobId
    change_sequence: Int64 = Field(
        ge=1,
        description="The change in `/v1/changes` that tells the same; of several, the first.",
        examples=[731],
    )


class TestEventData(Answer):
    """Nothing happened: somebody asked for a test."""

    sequence: int = Field(ge=0, le=0, description="Always 0: it has no place.", examples=[0])
    endpoint_id: WebhookEndpointId = Field(description="Which endpoint was asked.")


class _Message(Answer):
    """The envelope of Standard Webhooks."""

    type: str = Field(max_length=32, examples=["partner.connected"])
    timestamp: Instant = Field(description="When it happened, not when this was sent.")


class PartnerEvent(_Message):
    """Something became of a partner."""

    data: PartnerEventData


class TokenEvent(_Message):
    """Something became of an active token."""

    data: TokenEventData


class SyncJobEventMessage(_Message):
    """A check for updates has ended, or waits for a decision."""

    data: SyncJobEventData


class PartnerUserEvent(_Message):
    """Somebody's access changed."""

    data: PartnerUserEventData


class TestEvent(_Message):
    """A message that was asked for."""

    data: TestEventData


Message = PartnerEvent | TokenEvent | SyncJobEventMessage | PartnerUserEvent | TestEvent

_FAMILIES: dict[str, type[Message]] = {
    "partner": PartnerEvent,
    "token": TokenEvent,
    "sync_job": SyncJobEventMessage,
    "partner_user": PartnerUserEvent,
    TEST.split(".", maxsplit=1)[0]: TestEvent,
}


def kind_of(event_type: EventType | str) -> type[Message]:
    """The model of the messages of this type."""
    return _FAMILIES[event_type.split(".", maxsplit=1)[0]]


def body_of(event: WebhookEvent) -> str:
    """The message of an event that has its place: the same text at every attempt."""
    family = kind_of(event.type)
    told: dict[str, Any] = dict(event.states or {})
    for name in family.model_fields["data"].annotation.model_fields:  # type: ignore[union-attr]
        told.setdefault(name, getattr(event, name, None))
    message = family.model_validate(
        {"type": event.type, "timestamp": event.occurred_at, "data": told}
    )
    return message.model_dump_json()


def message_id(event: WebhookEvent) -> str:
    """The event's `webhook-id`."""
    assert event.message_id is not None, "an event is sent once it has its place"
    return encode("msg", event.message_id)
