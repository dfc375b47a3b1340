"""API schemas of tokens and their validations: facts about a token, never the token."""

from typing import Annotated

from pydantic import Field

from partner_connector.db.models.token import HEALTHS
from partner_connector.features.tokens.intake import TokenIntake
from partner_connector.ids import PartnerId, TokenId, ValidationId
from partner_connector.web.schemas import Answer, Body, HealthReason, Instant, open_enum

CHECK_IDS = (
    "format",
    "live",
    "token_type",
    "app",
    "owner_business",
    "partner_listed",
    "scopes_required",
    "scopes_excess",
    "scopes_narrowed",
    "expiry",
    "data_access_expiry",
    "system_user_role",
    "assets_full_control",
    "can_list_users",
    "not_host_token",
    "not_reused",
)

PermissionName = Annotated[str, Field(max_length=100, examples=["ads_read"])]
Narrowed = Annotated[
    list[Annotated[str, Field(max_length=2000)]],
    Field(max_length=1000, examples=[["the token no longer has the permission ads_read"]]),
]


class TokenConnect(TokenIntake):
    """The partner's system-user token, in clear or sealed."""


class CapabilityAcceptance(Body):
    """The narrowing to accept. Without a body, all of `narrowed` is accepted."""

    # Fewer than a token view can hold, so that a valid list fits into a request body.
    narrowed: Annotated[Narrowed, Field(max_length=30)] | None = Field(
        default=None, examples=[["the token no longer has the permission ads_read"]]
    )


class TokenCheck(Answer):
    """Result of one check of a token validation."""

    id: str = open_enum(*CHECK_IDS, description="Machine name of the check.")
    status: str = open_enum(
        "pass",
        "fail",
        "warn",
        "unknown",
        description="`fail` refuses the token. `warn` accepts it with a warning. `unknown`: Meta "
        "did not show it, or the check did not run. It does not refuse the token.",
    )
    code: str = Field(
        max_length=64, description="Machine code of the finding. Codes are stable.", examples=["ok"]
    )
    detail: str = Field(
        max_length=1000, description="What the check found.", examples=["The token never expires."]
    )
    remedy: str | None = Field(
        max_length=1000,
        description="What the partner's admin can do about it in Meta Business Manager.",
        examples=[None],
    )


class TokenValidationView(Answer):
    """A validation of one token: its checks and their verdict."""

    id: ValidationId
    partner_id: PartnerId | None
    purpose: str = open_enum(
        "dry_run",
        "connect",
        "integration",
        "health",
        description="Why the token is validated. `dry_run`: without connecting. `connect`: to "
        "connect a partner. `integration`: as the integration's own token. `health`: the daily "
        "re-validation of an active token.",
    )
    status: str = open_enum(
        "queued", "running", "completed", description="Status of the validation."
    )
    verdict: str | None = Field(
        max_length=64,
        description="`connectable`, `connectable_with_warnings` or `not_connectable`. Null until "
        "the validation is completed. Expect further values.",
        examples=["connectable"],
        json_schema_extra={
            "x-extensible-enum": ["connectable", "connectable_with_warnings", "not_connectable"]
        },
    )
    checks: list[TokenCheck] = Field(max_length=100)
    created_at: Instant
    started_at: Instant | None
    completed_at: Instant | None
    resume_at: Instant | None = Field(
        description="When Meta is called again. Set while the validation waits, for example "
        "because Meta cannot be reached or limits the calls."
    )


class SystemUserView(Answer):
    """System user that a token belongs to."""

    id: str | None = Field(max_length=32, examples=["104169029247128"])
    name: str | None = Field(max_length=500, examples=["Partner Connector"])
    role: str | None = Field(
        max_length=64, description="The role as Meta names it.", examples=["ADMIN"]
    )


class PartnerTokenView(Answer):
    """Facts about the active token of a partner."""

    id: TokenId
    version: int = Field(ge=1, le=2147483647, examples=[1])
    state: str = open_enum(
        "candidate", "active", "superseded", "revoked", "wiped", description="State of the token."
    )
    fingerprint: str | None = Field(
        max_length=64,
        description="Keyed hash of the token. Equal for equal tokens.",
        examples=[None],
    )
    key_id: str = Field(max_length=32, examples=["sk_0123456789abcdef"])
    app_id: str | None = Field(max_length=32, examples=["2965389650414399"])
    type: str | None = Field(max_length=32, examples=["SYSTEM_USER"])
    system_user: SystemUserView
    scopes: list[PermissionName] | None = Field(
        max_length=200,
        description="Permissions that the token was granted.",
        examples=[["ads_read"]],
    )
    missing_scopes: list[PermissionName] | None = Field(
        max_length=200,
        description="Required permissions that the token lacks.",
        examples=[["catalog_management"]],
    )
    excess_scopes: list[PermissionName] | None = Field(
        max_length=200,
        description="Granted permissions that are not required.",
        examples=[["pages_messaging"]],
    )
    expires_at: Instant | None = Field(
        description="When the token expires. Null: never, as far as Meta returned."
    )
    data_access_expires_at: Instant | None = Field(
        description="When the token's access to data ends. Null: never, as far as Meta returned."
    )
    health: str = open_enum(*HEALTHS, description="Health of the token after the last check of it.")
    health_reasons: list[HealthReason] = Field(
        max_length=100, description="Why the token needs attention now or soon."
    )
    narrowed: Narrowed = Field(
        description="Each way in which the token sees less than at the last complete check for "
        "updates. While the list is not empty, no user is removed."
    )
    capability_checked_at: Instant | None = Field(
        description="When a check for updates last read what the token can see."
    )
    last_checked_at: Instant | None
    created_at: Instant
    activated_at: Instant | None


class ResidualAccess(Answer):
    """An access that still works in Meta until an admin revokes it there."""

    what: str = Field(
        max_length=1000,
        description="What still works.",
        examples=["The system user's access token is still valid in Meta."],
    )
    where: str = Field(
        max_length=1000,
        description="Where to revoke it.",
        examples=["Meta Business Manager of Northwind Media: Settings > Users > System users"],
    )
    how_to_revoke: str = Field(
        max_length=1000,
        description="How to revoke it there.",
        examples=["The partner's admin selects the system user and clicks Revoke tokens."],
    )


class PartnerDisconnected(Answer):
    """Result of disconnecting a partner, and the access that is left in Meta."""

    onboarding_status: str = open_enum(
        "pending_onboarding", description="The same status as before the partner was connected."
    )
    onboarding_status_label: str = Field(
        max_length=100,
        description="The onboarding status as text for people.",
        examples=["Pending onboarding"],
    )
    residual_access: list[ResidualAccess] = Field(max_length=10)


class SealingKeyView(Answer):
    """A public key that clients seal tokens with."""

    key_id: str = Field(max_length=32, examples=["sk_0123456789abcdef"])
    algorithm: str = open_enum(
        "libsodium_sealed_box_x25519",
        description="Algorithm to seal with: libsodium's `crypto_box_seal`.",
    )
    public_key: str = Field(
        max_length=64,
        description="The public key: 32 bytes in standard base64.",
        examples=["q" * 43 + "="],
    )
    state: str = open_enum(
        "current", "retiring", description="Seal new tokens for the `current` key."
    )
    created_at: Instant
    expires_at: Instant | None = Field(
        description="From this time on, tokens sealed for this key are refused with "
        "`unknown_key_id`. Null for the current key."
    )


class SealingKeyList(Answer):
    """The sealing keys that are accepted now."""

    items: list[SealingKeyView] = Field(max_length=100)
    next_cursor: None = Field(description="Always null: the list has one page.")
