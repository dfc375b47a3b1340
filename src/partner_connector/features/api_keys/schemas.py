"""Request and response schemas of API keys."""

from typing import Annotated

from pydantic import Field, WithJsonSchema

from partner_connector.credentials import Scope
from partner_connector.ids import ApiKeyId
from partner_connector.web.schemas import Answer, Body, Instant, Page, RequestInstant

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
    """API key to create. Give it only the scopes that its program needs."""

    name: KeyName
    scopes: list[ScopeName] = Field(
        min_length=1, max_length=len(Scope), examples=[["partners:read", "users:read"]]
    )
    expires_at: RequestInstant | None = Field(
        default=None,
        description="The time from which the key is refused. Leave it out for a key that does not "
        "expire.",
        examples=["2099-12-31T00:00:00.000Z"],
    )


class ApiKeyView(Answer):
    """API key without its secret."""

    id: ApiKeyId
    name: KeyName
    scopes: list[ScopeName] = Field(max_length=len(Scope))
    created_at: Instant
    expires_at: Instant | None
    revoked_at: Instant | None
    last_used_at: Instant | None = Field(
        description="The time of the last use, to within a minute. Null if the key was never used."
    )


class ApiKeyCreated(ApiKeyView):
    """New API key with its secret. No other response contains the secret."""

    api_key: str = Field(
        max_length=100,
        pattern=r"^pck_[0-9A-Za-z]+_[0-9A-Za-z]+$",
        description="The API key to send as `Authorization: Bearer`. Shown once; store it like a "
        "password.",
        # Matches the pattern, but is clearly not a real key.
        examples=["pck_example_NotARealKey"],
        json_schema_extra={"readOnly": True},
    )


class ApiKeyPage(Page):
    """Page of API keys."""

    items: list[ApiKeyView] = Field(max_length=100)
