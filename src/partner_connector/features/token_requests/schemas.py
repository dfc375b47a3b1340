"""API schemas of token requests, as the callers who create them see them."""

from typing import Annotated

from pydantic import Field

from partner_connector.ids import ApiKeyId, PartnerId, TokenRequestId, ValidationId
from partner_connector.web.schemas import Answer, Body, Instant, Page, open_enum

_SHORTEST_SECONDS = 5 * 60
_LONGEST_SECONDS = 30 * 24 * 60 * 60

Note = Annotated[
    str,
    Field(
        min_length=1,
        max_length=500,
        pattern=r"^[^\x00-\x1f]+$",
        description="A note for yourself. The partner does not see it.",
        examples=["sent to their ad operations"],
    ),
]


class TokenRequestCreate(Body):
    """A new one-time link."""

    expires_in_seconds: int = Field(
        ge=_SHORTEST_SECONDS,
        le=_LONGEST_SECONDS,
        description="How long the link can be used: 5 minutes to 30 days.",
        examples=[604800],
    )
    note: Note | None = Field(default=None, examples=["sent to their ad operations"])


class TokenRequestView(Answer):
    """A token request without its code."""

    id: TokenRequestId
    partner_id: PartnerId
    state: str = open_enum(
        "open",
        "opened",
        "submitted",
        "accepted",
        "rejected",
        "expired",
        "revoked",
        description="State of the request. In `rejected` another token can be handed over while "
        "`tries_left` is not 0.",
    )
    note: Note | None
    created_by: ApiKeyId = Field(description="The API key that created the request.")
    created_at: Instant
    expires_at: Instant
    opened_at: Instant | None = Field(description="When a person first opened the link.")
    submitted_at: Instant | None = Field(description="When a token was last handed over.")
    ended_at: Instant | None = Field(description="When the link ended. Its code is refused since.")
    tries: int = Field(
        ge=0, le=100, description="Number of tokens that were refused.", examples=[0]
    )
    tries_left: int = Field(
        ge=0,
        le=100,
        description="Number of tokens that can still be refused before the link ends.",
        examples=[5],
    )
    validation_id: ValidationId | None = Field(
        description="Validation of the token that was handed over last. Null before the first."
    )


class TokenRequestCreated(TokenRequestView):
    """A new token request with its code and link, which no other response shows."""

    code: str = Field(
        max_length=100,
        pattern=r"^trc_[0-9a-z]+_[0-9A-Za-z]+$",
        description="The code, shown once. Its holder can hand over a token for this partner.",
        # Has the right form and is clearly not a code.
        examples=["trc_example_NotARealCode"],
        json_schema_extra={"readOnly": True},
    )
    url: str = Field(
        max_length=2000,
        description="The link for the partner's admin, shown once. The code follows the `#`, and "
        "browsers send that part to no server.",
        examples=["https://partner-connector.example.com/connect#trc_example_NotARealCode"],
        json_schema_extra={"format": "uri", "readOnly": True},
    )


class TokenRequestPage(Page):
    """A page of token requests."""

    items: list[TokenRequestView] = Field(max_length=100)
