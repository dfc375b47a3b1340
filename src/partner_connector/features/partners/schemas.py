"""API schemas of partners, their shared assets and their onboarding."""

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
    """Number of shared assets of each type, in both directions. Null while unknown."""

    ad_account: Count | None = Field(examples=[3])
    page: Count | None = Field(examples=[1])
    product_catalog: Count | None = Field(examples=[1])
    pixel: Count | None = Field(examples=[0])


class PartnerView(Answer):
    """A business that shares assets with your business, in one direction or both."""

    id: PartnerId
    integration_id: IntegrationId
    meta_business_id: MetaId
    name: str = Field(max_length=500, examples=["Northwind Media"])
    relationship: str = open_enum(
        "agency",
        "client",
        "both",
        description="`agency`: your business shares assets with the partner. `client`: the partner "
        "shares assets with your business. `both`: both share.",
    )
    presence: str = open_enum(
        "listed", "no_longer_shared", description="Whether Meta still lists the partner."
    )
    onboarding_status: str = open_enum(
        "pending_onboarding",
        "onboarded",
        "needs_attention",
        description="Derived from the partner's active token and its health.",
    )
    onboarding_status_label: str = Field(
        max_length=100,
        description="The onboarding status as text for people.",
        examples=["Pending onboarding"],
    )
    attention_reasons: list[HealthReason] = Field(
        max_length=1100,
        description="Why the partner's token needs attention now or soon. Data that was read "
        "before stays available.",
    )
    shared_asset_counts: SharedAssetCounts
    user_count: Count = Field(
        description="Number of active users with access to a shared asset.", examples=[25]
    )
    people_without_access_count: Count | None = Field(
        description="Number of the partner's other people. They are counted, never stored. Null "
        "while unknown.",
        examples=[None],
    )
    last_synced_at: Instant | None = Field(
        description="When results of a check for updates were last stored for this partner."
    )
    data_as_of: Instant | None = Field(
        description="The stored data is complete as of this time. Null before the first complete "
        "check for updates."
    )
    created_at: Instant
    updated_at: Instant


class PartnerPage(Page):
    """A page of partners."""

    items: list[PartnerView] = Field(max_length=100)


class SharedAssetView(Answer):
    """An asset shared between your business and the partner."""

    id: AssetId
    type: str = open_enum(
        "ad_account", "page", "product_catalog", "pixel", description="Type of the asset in Meta."
    )
    meta_id: MetaId
    name: str = Field(max_length=500, examples=["Spring campaign"])
    direction: str = open_enum(
        "ours_shared_to_partner",
        "theirs_shared_to_us",
        description="Which business shares the asset with the other business.",
    )
    permitted_tasks: list[TaskName] | None = Field(
        max_length=100,
        description="All tasks that the share allows. Null where Meta does not return them.",
        examples=[["ADVERTISE", "ANALYZE"]],
    )
    user_count: Count = Field(
        description="Number of partner users with access to the asset.", examples=[4]
    )


class SharedAssetPage(Page):
    """A page of shared assets."""

    items: list[SharedAssetView] = Field(max_length=100)


class OnboardingStep(Answer):
    """A step of the checklist for connecting a partner."""

    id: str = open_enum(
        "app_access",
        "system_user_admin",
        "assets_assigned",
        "token_generated",
        "token_handed_over",
        "connected",
        "first_sync",
        description="Machine name of the step.",
    )
    title: str = Field(
        max_length=200,
        description="The step as text for people.",
        examples=["First check for updates"],
    )
    status: str = open_enum("done", "to_do", "unknown", description="Status of the step.")
    evidence: str = Field(
        max_length=2000,
        description="What a token validation or a check for updates found.",
        examples=["No check for updates has been completed yet."],
    )
    next_action: str | None = Field(
        max_length=2000,
        description="What to do next, in words that a partner's admin can follow. Null if there is "
        "nothing to do.",
        examples=["Wait for the first check for updates to complete, or start one."],
    )


class PartnerOnboarding(Answer):
    """The partner's checklist, from app access to the first complete check for updates."""

    partner_id: PartnerId
    onboarding_status: str = open_enum(
        "pending_onboarding",
        "onboarded",
        "needs_attention",
        description="Derived from the partner's active token and its health.",
    )
    onboarding_status_label: str = Field(
        max_length=100,
        description="The onboarding status as text for people.",
        examples=["Pending onboarding"],
    )
    steps: list[OnboardingStep] = Field(max_length=20)
