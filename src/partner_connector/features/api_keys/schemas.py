"""API keys on the wire."""

from typing import Annotated

from pydantic import Field, WithJsonSchema

from partner_connector.credentials import Scope
from partner_connector.ids import ApiKeyId
from partner_connector.web.schemas import Answer, Body, GivenInstant, Instant, Page

ScopeName = Annotated[
    Scope,
    WithJsonSchema(
        {
            "type": "string",
            "maxLength": 32,
            "pattern": f"^({'|'.join(Scope)})$",
            "examples": ["partners:read"],
            "x-extensible-enum": [str(scope) for scope in Scope],
        }
    ),
]
KeyName = Annotated[
    str,
    Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$", examples=["ci-contract-tests"]),
]


class ApiKeyCreate(Body):
    """A new key, with the scopes it needs and no more."""

    name: KeyName
    scopes: list[ScopeName] = Field(
        min_length=1, max_length=len(Scope), examples=[["partners:read", "users:read"]]
    )
    expires_at: GivenInstant | None = Field(
        default=None,
        description="Leave out for a lasting key.",
        examples=["2099-12-31T00:00:00.000Z"],
    )


class ApiKeyView(Answer):
    """A key without its secret."""

    id: ApiKeyId
    name: KeyName
    scopes: list[ScopeName] = Field(max_length=len(Scope))
    created_at: Instant
    expires_at: Instant | None
    revoked_at: Instant | None
    last_used_at: Instant | None = Field(
        description="To within a minute; null while it was never used."
    )


class ApiKeyCreated(ApiKeyView):
    """The only answer that ever shows the key."""

    api_key: str = Field(
        max_length=100,
        pattern=r"^pck_[0-9A-Za-z]+_[0-9A-Za-z]+$",
        description="Shown once. Keep it like a password.",
        # Of the right form and plainly none.
        examples=["pck_example_NotARealKey"],
        json_schema_extra={"readOnly": True},
    )


class ApiKeyPage(Page):
    """A page of keys."""

    items: list[ApiKeyView] = Field(max_length=100)
