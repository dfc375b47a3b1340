"""Partner users on the wire."""

from pydantic import Field

from partner_connector.features.changes.schemas import ChangeView
from partner_connector.ids import AssetId, IntegrationId, PartnerId, PartnerUserId
from partner_connector.web.schemas import Answer, Instant, MetaId, Page, TaskName, open_enum


class GrantedAsset(Answer):
    """The asset of a grant."""

    id: AssetId
    type: str = open_enum(
        "ad_account", "page", "product_catalog", "pixel", description="Its kind in Meta."
    )
    meta_id: MetaId
    name: str = Field(max_length=500, examples=["Spring campaign"])


class GrantView(Answer):
    """What a partner user may do on one asset."""

    asset: GrantedAsset
    tasks: list[TaskName] = Field(
        max_length=100,
        description="As Meta says them. Empty where it does not: of a catalog in an asset group.",
        examples=[["ADVERTISE", "ANALYZE"]],
    )
    full_control: bool = Field(description="Whether the tasks are all that the share allows.")
    via: str = open_enum(
        "direct",
        "asset_group",
        description="How the access was given. Whoever has it in both ways has two grants.",
    )
    granted_at: Instant = Field(description="When we first saw it.")


class PartnerUserView(Answer):
    """A person or system user of a partner, with access to an asset shared with us."""

    id: PartnerUserId
    integration_id: IntegrationId
    partner_id: PartnerId
    meta_user_id: MetaId
    kind: str = open_enum("person", "system_user", "pending_invite", description="Who it is.")
    state: str = open_enum("active", "removed", description="Whether access was still seen.")
    name: str = Field(max_length=500, examples=["Ada Example"])
    email: str | None = Field(
        max_length=320, description="Null where Meta shows none.", examples=["ada@example.com"]
    )
    title: str | None = Field(max_length=500, examples=["Account manager"])
    role: str | None = Field(max_length=64, description="As Meta says it.", examples=["ADMIN"])
    role_class: str = open_enum(
        "admin", "employee", "other", "unknown", description="The role, classed."
    )
    two_factor: str = open_enum("on", "off", "unknown", description="Two-factor authentication.")
    finance_permission: str | None = Field(
        max_length=64, description="As Meta says it.", examples=["FINANCE_EDIT"]
    )
    is_token_holder: bool = Field(
        description="The system user whose token the partner is connected with."
    )
    asset_count: int = Field(
        ge=0, le=2147483647, description="Shared assets with access.", examples=[3]
    )
    first_seen_at: Instant = Field(description="When a check first saw access.")
    last_seen_at: Instant = Field(description="When a check last saw access.")
    removed_at: Instant | None = Field(description="Since when there is none; null while active.")
    grants: list[GrantView] | None = Field(
        max_length=10000, description="With `expand=grants`; null otherwise."
    )
    history: list[ChangeView] | None = Field(
        max_length=100,
        description="The latest changes, newest first; null in a list. `/v1/changes` has them all.",
    )


class PartnerUserPage(Page):
    """A page of partner users."""

    items: list[PartnerUserView] = Field(max_length=100)
