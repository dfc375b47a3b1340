"""Tokens and their proof on the wire: facts about a token, never the token."""

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
    Field(max_length=1000, examples=[["ads_read is gone"]]),
]


class TokenConnect(TokenIntake):
    """The partner's system-user token, in clear or sealed."""


class CapabilityAcceptance(Body):
    """What is accepted. Without it: all that the token view shows now."""

    # Fewer than a view can hold, so that what is valid fits into a body.
    narrowed: Annotated[Narrowed, Field(max_length=30)] | None = Field(
        default=None, examples=[["ads_read is gone"]]
    )


class TokenCheck(Answer):
    """One thing that was checked."""

    id: str = open_enum(*CHECK_IDS, description="What was checked.")
    status: str = open_enum(
        "pass", "fail", "warn", "unknown", description="`unknown` is not a refusal."
    )
    code: str = Field(max_length=64, description="What was found, stable.", examples=["ok"])
    detail: str = Field(
        max_length=1000, description="What was seen.", examples=["The token never expires."]
    )
    remedy: str | None = Field(
        max_length=1000,
        description="What the partner's admin can do about it in Meta's screens.",
        examples=[None],
    )


class TokenValidationView(Answer):
    """The proof of one token."""

    id: ValidationId
    partner_id: PartnerId | None
    purpose: str = open_enum(
        "dry_run",
        "connect",
        "integration",
        "health",
        description="Why the token is checked; `health`: an active one, once a day.",
    )
    status: str = open_enum("queued", "running", "completed", description="Where the proof is.")
    verdict: str | None = Field(
        max_length=64,
        description="`connectable`, `connectable_with_warnings` or `not_connectable` once "
        "completed; null before. Expect further values.",
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
        description="When Meta is asked again, while it cannot be reached."
    )


class SystemUserView(Answer):
    """Whose token it is."""

    id: str | None = Field(max_length=32, examples=["104169029247128"])
    name: str | None = Field(max_length=500, examples=["Partner Connector"])
    role: str | None = Field(max_length=64, description="As Meta says it.", examples=["ADMIN"])


class PartnerTokenView(Answer):
    """What is known about the active token of a partner."""

    id: TokenId
    version: int = Field(ge=1, le=2147483647, examples=[1])
    state: str = open_enum(
        "candidate", "active", "superseded", "revoked", "wiped", description="Its life."
    )
    fingerprint: str | None = Field(
        max_length=64, description="A keyed hash: tells two tokens apart.", examples=[None]
    )
    key_id: str = Field(max_length=32, examples=["sk_0123456789abcdef"])
    app_id: str | None = Field(max_length=32, examples=["2965389650414399"])
    type: str | None = Field(max_length=32, examples=["SYSTEM_USER"])
    system_user: SystemUserView
    scopes: list[PermissionName] | None = Field(
        max_length=200, description="What it was granted.", examples=[["ads_read"]]
    )
    missing_scopes: list[PermissionName] | None = Field(
        max_length=200, description="What it lacks.", examples=[["catalog_management"]]
    )
    excess_scopes: list[PermissionName] | None = Field(
        max_length=200, description="What nobody needs.", examples=[["pages_messaging"]]
    )
    expires_at: Instant | None = Field(description="Null: never, as far as Meta said.")
    data_access_expires_at: Instant | None = Field(description="Null: never, as far as Meta said.")
    health: str = open_enum(*HEALTHS, description="What the last proof said.")
    health_reasons: list[HealthReason] = Field(
        max_length=100, description="Why it needs attention, or soon will."
    )
    narrowed: Narrowed = Field(
        description="In what the token sees less than at the last complete check. While there is "
        "anything, nobody is removed."
    )
    capability_checked_at: Instant | None = Field(
        description="When a check last looked at what the token sees."
    )
    last_checked_at: Instant | None
    created_at: Instant
    activated_at: Instant | None


class ResidualAccess(Answer):
    """Something that still works in Meta until someone there revokes it."""

    what: str = Field(
        max_length=1000,
        description="What still works.",
        examples=["The system user's access token is still valid in Meta."],
    )
    where: str = Field(
        max_length=1000,
        description="Where that can be changed.",
        examples=["Meta Business Manager of Northwind Media: Settings > Users > System users"],
    )
    how_to_revoke: str = Field(
        max_length=1000,
        description="What to do there.",
        examples=["The partner's admin selects the system user and clicks Revoke tokens."],
    )


class PartnerDisconnected(Answer):
    """What disconnecting did here, and what it could not do in Meta."""

    onboarding_status: str = open_enum(
        "pending_onboarding", description="Back to where the partner was before it was connected."
    )
    onboarding_status_label: str = Field(
        max_length=100, description="The same in words.", examples=["Pending onboarding"]
    )
    residual_access: list[ResidualAccess] = Field(max_length=10)


class SealingKeyView(Answer):
    """A public key to seal tokens for."""

    key_id: str = Field(max_length=32, examples=["sk_0123456789abcdef"])
    algorithm: str = open_enum(
        "libsodium_sealed_box_x25519", description="How to seal: `crypto_box_seal`."
    )
    public_key: str = Field(
        max_length=64, description="32 bytes in standard base64.", examples=["q" * 43 + "="]
    )
    state: str = open_enum("current", "retiring", description="Seal for the current one.")
    created_at: Instant
    expires_at: Instant | None = Field(
        description="From then on what is sealed for this key is refused as `unknown_key_id`. Null "
        "for the current one."
    )


class SealingKeyList(Answer):
    """Every key that is accepted now."""

    items: list[SealingKeyView] = Field(max_length=100)
    next_cursor: None = Field(description="Always null: the list is short.")
