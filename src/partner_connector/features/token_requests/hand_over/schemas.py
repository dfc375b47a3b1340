"""API schemas of a token request as the partner's admin sees it.

Of the requesting business they show only the name.
"""

from typing import Annotated

from pydantic import Field

from partner_connector.features.partners.schemas import OnboardingStep
from partner_connector.features.tokens.schemas import SealingKeyView, TokenValidationView
from partner_connector.web.schemas import Answer, Instant, MetaId, open_enum


class GuideStep(Answer):
    """Step to do in Meta Business Manager."""

    id: str = open_enum(
        "request_app_access",
        "assign_assets",
        "generate_token",
        "hand_over_token",
        description="Machine name of the step.",
    )
    title: str = Field(
        max_length=200,
        description="The step as text for people.",
        examples=["Request access to the app"],
    )
    instructions: list[Annotated[str, Field(max_length=500)]] = Field(
        max_length=20,
        description="What to click, in this order.",
        examples=[["Open Settings > Accounts > Apps.", "Click Add, then Request app access."]],
    )


class Guide(Answer):
    """Guide for the partner's admin to generate the token."""

    app_id: MetaId
    permissions: list[Annotated[str, Field(max_length=64)]] = Field(
        max_length=20,
        description="Permissions that the token must have.",
        examples=[["ads_management"]],
    )
    steps: list[GuideStep] = Field(max_length=20)


class AskedPartner(Answer):
    """Partner whose token is requested."""

    name: str = Field(max_length=500, examples=["Northwind Media"])
    meta_business_id: MetaId


class CurrentTokenRequest(Answer):
    """A token request with all that its partner's admin needs to hand over a token."""

    state: str = open_enum(
        "open", "opened", "submitted", "rejected", description="State of the request."
    )
    requested_by: str = Field(
        max_length=200,
        description="Name of the business that requests the token.",
        examples=["Acme"],
    )
    partner: AskedPartner
    expires_at: Instant
    tries_left: int = Field(
        ge=0,
        le=100,
        description="Number of tokens that can still be refused before the link ends.",
        examples=[5],
    )
    guide: Guide
    checklist: list[OnboardingStep] = Field(
        max_length=20,
        description="Steps of the onboarding, each with its status and what to do next.",
    )
    must_be_sealed: bool = Field(description="True if only a sealed token is accepted.")
    sealing_key: SealingKeyView
    last_validation: TokenValidationView | None = Field(
        description="Validation of the token that was handed over last. Null before the first."
    )
