"""Webhook messages in the OpenAPI document: requests that this service sends to receivers."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Header

from partner_connector.features.webhooks.event_types import TEST, EventType
from partner_connector.features.webhooks.messages import (
    Message,
    PartnerEvent,
    PartnerUserEvent,
    SyncJobEventMessage,
    TestEvent,
    TokenEvent,
    message_model,
)

_SUMMARIES = {
    EventType.PARTNER_LISTED: "Meta lists a partner for the first time, or again",
    EventType.PARTNER_UNSHARED: "Meta no longer lists a partner: no asset is shared any more",
    EventType.PARTNER_CONNECTED: "A partner was connected",
    EventType.PARTNER_DISCONNECTED: "A partner was disconnected",
    EventType.PARTNER_NEEDS_ATTENTION: "A partner's token no longer works or sees too little",
    EventType.PARTNER_RECOVERED: "A partner's token works again, or a new token works",
    EventType.TOKEN_EXPIRING: "A token expires in 30, 14 or 7 days, or in 1 day",
    EventType.TOKEN_EXPIRED: "A token has expired",
    EventType.TOKEN_INVALID: "Meta no longer accepts a token, or it cannot be decrypted",
    EventType.TOKEN_SCOPE_DRIFT: "A token has fewer permissions or sees less than before",
    EventType.TOKEN_REPLACED: "A token was replaced by a new token",
    EventType.SYNC_JOB_COMPLETED: "A check for updates is complete",
    EventType.SYNC_JOB_FAILED: "A check for updates failed",
    EventType.SYNC_JOB_HALTED: "The safeguard halted a check for updates: decide its plan",
    EventType.SYNC_JOB_CANCELLED: "A check for updates was cancelled",
    EventType.PARTNER_USER_JOINED: "A user of a partner got access",
    EventType.PARTNER_USER_REJOINED: "A user of a partner got access again",
    EventType.PARTNER_USER_LEFT: "A user of a partner lost all access",
    EventType.PARTNER_USER_ROLE_CHANGED: "The role of a partner's user changed",
    EventType.PARTNER_USER_ACCESS_CHANGED: "The access of a partner's user changed",
    TEST: "A test message was requested",
}


def _signature_headers(
    webhook_id: Annotated[
        str,
        Header(
            alias="webhook-id",
            max_length=64,
            pattern=r"^msg_[0-9a-z]{26}$",
            description="Id of the event, the same in every attempt. Process each id only once.",
            examples=["msg_01k9z3v0e8fjt9m2c4r6w8xabc"],
        ),
    ],
    webhook_timestamp: Annotated[
        str,
        Header(
            alias="webhook-timestamp",
            max_length=16,
            pattern=r"^[0-9]+$",
            description="Time of this attempt, in seconds since 1970 (UTC). Refuse old messages.",
            examples=["1795512600"],
        ),
    ],
    webhook_signature: Annotated[
        str,
        Header(
            alias="webhook-signature",
            max_length=200,
            pattern=r"^v1,[0-9A-Za-z+/=]+( v1,[0-9A-Za-z+/=]+)?$",
            description="HMAC-SHA256 over `id.timestamp.body`. For 24 hours after a rotation "
            "of the secret there are two signatures: one of them must match.",
            examples=["v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc="],
        ),
    ],
) -> None:
    """Declare the headers of Standard Webhooks."""


_DESCRIPTIONS: dict[type[Message], str] = {
    PartnerEvent: "The message contains only ids and states. Read the partner for details.",
    TokenEvent: "The message never contains the token. Read the partner's token, or "
    "the integration for our own business's token.",
    SyncJobEventMessage: "Read the job for its counts and warnings.",
    PartnerUserEvent: "The message does not name the user. Read the partner user, or the change.",
    TestEvent: "Sent when you request a test message. Answer it like any other message.",
}


def _receiver(message: type[Message]) -> Callable[..., None]:
    def receive(body: message) -> None:  # type: ignore[valid-type] # FastAPI reads it when it runs
        """Describe the receiver of a message in the document. This function is never called."""

    return receive


def add_webhooks(webhooks: APIRouter) -> None:
    """Add every message to the `webhooks` section of the OpenAPI document."""
    for name, summary in _SUMMARIES.items():
        webhooks.add_api_route(
            str(name),
            _receiver(message_model(name)),
            methods=["POST"],
            operation_id=_operation_id(name),
            summary=summary,
            description=_DESCRIPTIONS[message_model(name)],
            tags=["Webhooks"],
            dependencies=[Depends(_signature_headers)],
            status_code=204,
            response_description="The message was received. Any 2xx within 15 seconds confirms it.",
            responses={
                410: {
                    "description": "The endpoint is gone: it is disabled, and nothing more is sent."
                }
            },
        )


def _operation_id(name: str) -> str:
    words = name.replace(".", "_").split("_")
    return "on" + "".join(word.capitalize() for word in words)
