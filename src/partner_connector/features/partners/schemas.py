"""Partners, their shared assets and their onboarding on the wire."""

from pydantic import Field

from partner_connector.ids import AssetId, IntegrationId, PartnerId
from partner_connector.web.schemas import (
    Answer,
    Count,
    HealthReason,
    Instant,
    MetaId,
    Page,
    TaskName,
    open_enum,
)


class SharedAssetCounts(Answer):
    """Shared assets by type, both directions together. Null until Meta has said."""

    ad_account: Count | None = Field(examples=[3])
    page: Count | None = Field(examples=[1])
    product_catalog: Count | None = Field(examples=[1])
    pixel: Count | None = Field(examples=[0])


class PartnerView(Answer):
    """A business that shares at least one asset with ours."""

    id: PartnerId
    integration_id: IntegrationId
    meta_business_id: MetaId
    name: str = Field(max_length=500, examples=["Northwind Media"])
    relationship: str = open_enum(
        "agency",
        "client",
        "both",
        description="`agency`: our assets are shared to them; `client`: theirs to us.",
    )
    presence: str = open_enum(
        "listed", "no_longer_shared", description="Whether Meta still lists it."
    )
    onboarding_status: str = open_enum(
        "pending_onboarding", "onboarded", "needs_attention", description="Derived from evidence."
    )
    onboarding_status_label: str = Field(
        max_length=100, description="The same in words.", examples=["Pending onboarding"]
    )
    attention_reasons: list[HealthReason] = Field(
        max_length=1100,
        description="Why it needs attention, or soon will. What was read before stays served.",
    )
    shared_asset_counts: SharedAssetCounts
    user_count: Count = Field(
        description="Active users with access to a shared asset.",
        examples=[25],
    )
    people_without_access_count: Count | None = Field(
        description="Their other people: counted, never stored. Null while unknown.",
        examples=[None],
    )
    last_synced_at: Instant | None = Field(description="When it was last checked for updates.")
    data_as_of: Instant | None = Field(description="The last complete check for updates.")
    created_at: Instant
    updated_at: Instant


class PartnerPage(Page):
    """A page of partners."""

    items: list[PartnerView] = Field(max_length=100)


class SharedAssetView(Answer):
    """An asset that is shared between us and the partner."""

    id: AssetId
    type: str = open_enum(
        "ad_account", "page", "product_catalog", "pixel", description="Its kind in Meta."
    )
    meta_id: MetaId
    name: str = Field(max_length=500, examples=["Spring campaign"])
    direction: str = open_enum(
        "ours_shared_to_partner", "theirs_shared_to_us", description="Whose it is."
    )
    permitted_tasks: list[TaskName] | None = Field(
        max_length=100,
        description="What the share allows at most; null where Meta did not say.",
        examples=[["ADVERTISE", "ANALYZE"]],
    )
    user_count: Count = Field(description="Partner users with access to it.", examples=[4])


class SharedAssetPage(Page):
    """A page of shared assets."""

    items: list[SharedAssetView] = Field(max_length=100)


class OnboardingStep(Answer):
    """One step of connecting a partner."""

    id: str = open_enum(
        "app_access",
        "system_user_admin",
        "assets_assigned",
        "token_generated",
        "token_handed_over",
        "connected",
        "first_sync",
        description="Which step.",
    )
    title: str = Field(
        max_length=200, description="The step in words.", examples=["First check for updates"]
    )
    status: str = open_enum("done", "to_do", "unknown", description="Where the step stands.")
    evidence: str = Field(
        max_length=2000,
        description="What was seen.",
        examples=["No check for updates was completed yet."],
    )
    next_action: str | None = Field(
        max_length=2000,
        description="What to do next, in words the partner's admin can follow.",
        examples=["Wait for the check that runs, or start one."],
    )


class PartnerOnboarding(Answer):
    """The partner's checklist, from app access to the first complete check for updates."""

    partner_id: PartnerId
    onboarding_status: str = open_enum(
        "pending_onboarding", "onboarded", "needs_attention", description="Derived from evidence."
    )
    onboarding_status_label: str = Field(
        max_length=100, description="The same in words.", examples=["Pending onboarding"]
    )
    steps: list[OnboardingStep] = Field(max_length=20)
