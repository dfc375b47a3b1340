"""Webhook endpoints and deliveries on the wire."""

from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema

from partner_connector.features.webhooks.addresses import PUBLIC_URL
from partner_connector.features.webhooks.event_types import EventType
from partner_connector.ids import PartnerId, WebhookDeliveryId, WebhookEndpointId, WebhookEventId
from partner_connector.web.schemas import (
    Answer,
    Body,
    Count,
    GivenInstant,
    Instant,
    Int64,
    Page,
    open_enum,
)

Url = Annotated[
    str,
    Field(
        min_length=8,
        max_length=2000,
        description="`https://` on port 443 with the public DNS name of your server.",
        examples=["https://hooks.example.com/partner-connector"],
    ),
]
# Names that only a private network knows are refused as well.
GivenUrl = Annotated[
    Url,
    WithJsonSchema(
        {
            "type": "string",
            "maxLength": 2000,
            "pattern": PUBLIC_URL,
            "description": "`https://` on port 443 with the public DNS name of your server.",
            "examples": ["https://hooks.example.com/partner-connector"],
        }
    ),
]
Description = Annotated[
    str,
    Field(
        min_length=1,
        max_length=500,
        pattern=r"^[^\x00-\x1f]+$",
        description="For yourself.",
        examples=["access reviews"],
    ),
]
EventTypeName = Annotated[
    EventType,
    WithJsonSchema(
        {
            "type": "string",
            "maxLength": 32,
            "pattern": "^(" + "|".join(each.replace(".", r"\.") for each in EventType) + ")$",
            "examples": ["partner.connected"],
            "x-extensible-enum": [str(each) for each in EventType],
        }
    ),
]
EventTypes = Annotated[
    list[EventTypeName],
    Field(min_length=1, max_length=len(EventType), description="What to be told of."),
]


class WebhookEndpointCreate(Body):
    """Where to send messages, and about what."""

    url: GivenUrl
    event_types: EventTypes = Field(examples=[["partner.connected", "partner_user.left"]])
    description: Description | None = Field(default=None, examples=["access reviews"])


class WebhookEndpointUpdate(Body):
    """What is left out stays as it is."""

    url: GivenUrl | None = Field(default=None, examples=["https://hooks.example.com/connector"])
    event_types: EventTypes | None = Field(
        default=None, examples=[["partner.connected", "partner_user.left"]]
    )
    description: Description | None = Field(default=None, examples=["access reviews"])
    status: Literal["enabled", "disabled"] | None = Field(
        default=None,
        description="`disabled` sends nothing and keeps no further events. What was not delivered "
        "goes on once it is `enabled` again.",
        examples=["enabled"],
    )


class WebhookEndpointView(Answer):
    """An endpoint without its secret."""

    id: WebhookEndpointId
    url: Url
    description: Description | None
    event_types: list[EventTypeName] = Field(max_length=len(EventType))
    status: str = open_enum("enabled", "disabled", description="Whether messages are sent.")
    disabled_reason: str | None = open_enum(
        "gone",
        "by_request",
        description="`gone`: your server answered 410. Null while it is enabled.",
    )
    created_at: Instant
    updated_at: Instant


class WebhookEndpointCreated(WebhookEndpointView):
    """The only answer that ever shows a secret: the endpoint is new, or its secret is."""

    signing_secret: str = Field(
        max_length=100,
        pattern=r"^whsec_[0-9A-Za-z+/=]+$",
        description="Shown once. Verify messages with it, by a library of Standard Webhooks.",
        examples=["whsec_NotARealSecret"],
        json_schema_extra={"readOnly": True},
    )


class WebhookEndpointPage(Page):
    """A page of endpoints."""

    items: list[WebhookEndpointView] = Field(max_length=100)


class WebhookDeliveryView(Answer):
    """One event on its way to one endpoint. Of your server's answer the status alone is kept."""

    id: WebhookDeliveryId
    endpoint_id: WebhookEndpointId
    event_id: WebhookEventId = Field(
        description="The `webhook-id` of the message: the same at every attempt, redelivery and "
        "endpoint."
    )
    event_type: str = Field(
        max_length=32, pattern=r"^[a-z_]+\.[a-z_]+$", examples=["partner.connected"]
    )
    partner_id: PartnerId | None
    sequence: Int64 = Field(
        ge=0,
        description="Grows from event to event of a workspace; 0 for a test.",
        examples=[1042],
    )
    status: str = open_enum(
        "pending",
        "delivered",
        "dead_lettered",
        description="`dead_lettered` was tried for three days and is not tried again by itself.",
    )
    attempts: Count = Field(description="Since it was last asked for.", examples=[1])
    next_attempt_at: Instant | None = Field(
        description="Not before then, and not before the earlier events of its partner. Null once "
        "it has ended."
    )
    last_attempt_at: Instant | None
    last_status_code: int | None = Field(
        ge=100, le=999, description="Null where there was no answer.", examples=[204]
    )
    last_error: str | None = open_enum(
        "timeout",
        "connection_failed",
        "tls_failed",
        "name_not_resolved",
        "address_not_public",
        "http_status",
        "secret_unreadable",
        "not_composed",
        description="What went wrong at the last attempt; null where nothing did. `tls_failed`: "
        "somebody was there, without a valid certificate for the name. `not_composed` is a fault "
        "of ours.",
    )
    delivered_at: Instant | None
    created_at: Instant


class WebhookDeliveryPage(Page):
    """A page of deliveries."""

    items: list[WebhookDeliveryView] = Field(max_length=100)


class RedeliveryRequest(Body):
    """Which deliveries of an endpoint to send again, by the time at which they were made."""

    since_at: GivenInstant = Field(
        description="The first instant that counts.", examples=["2026-11-20T00:00:00Z"]
    )
    until_at: GivenInstant | None = Field(
        default=None,
        description="The first instant that no longer counts; left out: now.",
        examples=["2026-11-21T00:00:00Z"],
    )
    include_delivered: bool = Field(
        default=False,
        strict=True,
        description="True also sends what had arrived; otherwise only what was dead-lettered.",
    )


class Redelivery(Answer):
    """What was queued again."""

    redelivered: Count = Field(description="How many deliveries.", examples=[3])
    more_since_at: Instant | None = Field(
        description="Null where these were all of them. Else send the same again with this as "
        "`since_at`."
    )
