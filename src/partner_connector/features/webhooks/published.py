"""The messages as OpenAPI describes them: what your server receives. Nobody calls this."""

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
    kind_of,
)

_MEANINGS = {
    EventType.PARTNER_LISTED: "Meta lists a partner, for the first time or again",
    EventType.PARTNER_UNSHARED: "A partner shares nothing with us any more",
    EventType.PARTNER_CONNECTED: "A partner was connected",
    EventType.PARTNER_DISCONNECTED: "A partner was disconnected",
    EventType.PARTNER_NEEDS_ATTENTION: "A partner's token does not do its work any more",
    EventType.PARTNER_RECOVERED: "A partner's token works again, or a new one does",
    EventType.TOKEN_EXPIRING: "A token will end soon: 30, 14 and 7 days and 1 day before",
    EventType.TOKEN_EXPIRED: "A token has ended",
    EventType.TOKEN_INVALID: "Meta no longer accepts a token, or it cannot be opened",
    EventType.TOKEN_SCOPE_DRIFT: "A token may or sees less than it did",
    EventType.TOKEN_REPLACED: "A token took the place of another one",
    EventType.SYNC_JOB_COMPLETED: "A check for updates is complete",
    EventType.SYNC_JOB_FAILED: "A check for updates failed",
    EventType.SYNC_JOB_HALTED: "The safeguard halted a check: its plan waits for an answer",
    EventType.SYNC_JOB_CANCELLED: "A check for updates was cancelled",
    EventType.PARTNER_USER_JOINED: "Somebody at a partner got access",
    EventType.PARTNER_USER_REJOINED: "Somebody at a partner got access again",
    EventType.PARTNER_USER_LEFT: "Somebody at a partner lost all access",
    EventType.PARTNER_USER_ROLE_CHANGED: "Somebody at a partner has another role",
    EventType.PARTNER_USER_ACCESS_CHANGED: "What somebody at a partner may do has changed",
    TEST: "Somebody asked for a test",
}


def _signed(
    webhook_id: Annotated[
        str,
        Header(
            alias="webhook-id",
            max_length=64,
            pattern=r"^msg_[0-9a-z]{26}$",
            description="The event's id: the same at every attempt. Do nothing twice for it.",
            examples=["msg_01k9z3v0e8fjt9m2c4r6w8xabc"],
        ),
    ],
    webhook_timestamp: Annotated[
        str,
        Header(
            alias="webhook-timestamp",
            max_length=16,
            pattern=r"^[0-9]+$",
            description="When this attempt was made, in seconds since 1970. Refuse old ones.",
            examples=["1795512600"],
        ),
    ],
    webhook_signature: Annotated[
        str,
        Header(
            alias="webhook-signature",
            max_length=200,
            pattern=r"^v1,[0-9A-Za-z+/=]+( v1,[0-9A-Za-z+/=]+)?$",
            description="HMAC-SHA256 over `id.timestamp.body`; two of them, of which one has to "
            "match, for 24 hours after a rotation.",
            examples=["v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc="],
        ),
    ],
) -> None:
    """The headers of Standard Webhooks."""


_TEXTS: dict[type[Message], str] = {
    PartnerEvent: "Ids and states only: read the partner for more.",
    TokenEvent: "Never the token, of course. Read its metadata for more.",
    SyncJobEventMessage: "Read the job for its counts and warnings.",
    PartnerUserEvent: "Who it is stays behind the API: read the partner user, or the change.",
    TestEvent: "Answer it like any other.",
}


def _receiver(message: type[Message]) -> Callable[..., None]:
    def receive(body: message) -> None:  # type: ignore[valid-type] # FastAPI reads it when it runs
        """Stand for a customer's server."""

    return receive


def describe(webhooks: APIRouter) -> None:
    """Put every message into the `webhooks` section of the document."""
    for name, meaning in _MEANINGS.items():
        webhooks.add_api_route(
            str(name),
            _receiver(kind_of(name)),
            methods=["POST"],
            operation_id=_operation_id(name),
            summary=meaning,
            description=_TEXTS[kind_of(name)],
            tags=["Webhooks"],
            dependencies=[Depends(_signed)],
            status_code=204,
            response_description="It has arrived; any 2xx within 15 seconds says so.",
            responses={410: {"description": "Send nothing to this endpoint any more."}},
        )


def _operation_id(name: str) -> str:
    words = name.replace(".", "_").split("_")
    return "on" + "".join(word.capitalize() for word in words)
