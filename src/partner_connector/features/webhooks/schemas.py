"""Request and response models of webhook endpoints and deliveries."""

from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema

from partner_connector.features.webhooks.addresses import PUBLIC_URL
from partner_connector.features.webhooks.event_types import EventType
from partner_connector.ids import PartnerId, WebhookDeliveryId, WebhookEndpointId, WebhookEventId
from partner_connector.web.schemas import (
    Answer,
    Body,
    Count,
    Instant,
    Int64,
    Page,
    RequestInstant,
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
# Names of private networks match the pattern, but `addresses.require_sendable` refuses them.
RequestUrl = Annotated[
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
        description="Free text for your own use.",
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
    Field(min_length=1, max_length=len(EventType), description="Types of events to send."),
]


class WebhookEndpointCreate(Body):
    """Request to create an endpoint."""

    url: RequestUrl
    event_types: EventTypes = Field(examples=[["partner.connected", "partner_user.left"]])
    description: Description | None = Field(default=None, examples=["access reviews"])


class WebhookEndpointUpdate(Body):
    """Request to change an endpoint. A member that you leave out keeps its value."""

    url: RequestUrl | None = Field(default=None, examples=["https://hooks.example.com/connector"])
    event_types: EventTypes | None = Field(
        default=None, examples=[["partner.connected", "partner_user.left"]]
    )
    description: Description | None = Field(default=None, examples=["access reviews"])
    status: Literal["enabled", "disabled"] | None = Field(
        default=None,
        description="While an endpoint is `disabled`, nothing is sent to it, and new events are "
        "not stored for it. Pending deliveries continue when it is `enabled` again.",
        examples=["enabled"],
    )


class WebhookEndpointView(Answer):
    """Webhook endpoint without its signing secret."""

    id: WebhookEndpointId
    url: Url
    description: Description | None
    event_types: list[EventTypeName] = Field(max_length=len(EventType))
    status: str = open_enum(
        "enabled", "disabled", description="Whether messages are sent to the endpoint."
    )
    disabled_reason: str | None = open_enum(
        "gone",
        "by_request",
        description="`gone`: your server answered `410`. `by_request`: an API call disabled it. "
        "Null while it is enabled.",
    )
    created_at: Instant
    updated_at: Instant


class WebhookEndpointCreated(WebhookEndpointView):
    """Webhook endpoint with its new signing secret. No other response contains the secret."""

    signing_secret: str = Field(
        max_length=100,
        pattern=r"^whsec_[0-9A-Za-z+/=]+$",
        description="Secret with which a library of Standard Webhooks verifies messages. Store it: "
        "it is returned only once.",
        examples=["whsec_NotARealSecret"],
        json_schema_extra={"readOnly": True},
    )


class WebhookEndpointPage(Page):
    """Page of webhook endpoints."""

    items: list[WebhookEndpointView] = Field(max_length=100)


class WebhookDeliveryView(Answer):
    """Delivery of one event to one endpoint.

    Of your server's response, only the status code is kept.
    """

    id: WebhookDeliveryId
    endpoint_id: WebhookEndpointId
    event_id: WebhookEventId = Field(
        description="The `webhook-id` of the message. It is the same for every attempt, redelivery "
        "and endpoint."
    )
    event_type: str = Field(
        max_length=32, pattern=r"^[a-z_]+\.[a-z_]+$", examples=["partner.connected"]
    )
    partner_id: PartnerId | None
    sequence: Int64 = Field(
        ge=0,
        description="Number that grows with each event of a workspace. 0 for a test.",
        examples=[1042],
    )
    status: str = open_enum(
        "pending",
        "delivered",
        "dead_lettered",
        description="`dead_lettered`: no attempt succeeded within about three days, or your server "
        "answered `410`. Only a redelivery tries it again.",
    )
    attempts: Count = Field(
        description="Number of attempts since the event, or since the last redelivery.",
        examples=[1],
    )
    next_attempt_at: Instant | None = Field(
        description="Earliest time of the next attempt. Earlier events of the same partner "
        "are sent first. Null once the delivery has ended."
    )
    last_attempt_at: Instant | None
    last_status_code: int | None = Field(
        ge=100,
        le=999,
        description="Status code of your server's response to the last attempt. Null if there was "
        "no response.",
        examples=[204],
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
        description="Error of the last attempt, null if it succeeded. `tls_failed`: the server has "
        "no valid certificate for its name. `not_composed`: an internal error of this service.",
    )
    delivered_at: Instant | None
    created_at: Instant


class WebhookDeliveryPage(Page):
    """Page of deliveries."""

    items: list[WebhookDeliveryView] = Field(max_length=100)


class RedeliveryRequest(Body):
    """Request to redeliver the deliveries of an endpoint that were created in a time range."""

    since_at: RequestInstant = Field(
        description="Start of the range, inclusive.", examples=["2026-11-20T00:00:00Z"]
    )
    until_at: RequestInstant | None = Field(
        default=None,
        description="End of the range, exclusive. Default: now.",
        examples=["2026-11-21T00:00:00Z"],
    )
    include_delivered: bool = Field(
        default=False,
        strict=True,
        description="If true, also redeliver deliveries that succeeded. If false, redeliver only "
        "`dead_lettered` deliveries.",
    )


class Redelivery(Answer):
    """Result of the redelivery of a time range."""

    redelivered: Count = Field(description="Number of deliveries that were queued.", examples=[3])
    more_since_at: Instant | None = Field(
        description="Null if all deliveries of the range were queued. Else repeat the request with "
        "this value as `since_at`."
    )
