"""A token request as the partner sees it. Of us it shows the name of our business alone."""

from typing import Annotated

from pydantic import Field

from partner_connector.features.partners.schemas import OnboardingStep
from partner_connector.features.tokens.schemas import SealingKeyView, TokenValidationView
from partner_connector.web.schemas import Answer, Instant, MetaId, open_enum


class GuideStep(Answer):
    """One thing to do in Meta Business Manager."""

    id: str = open_enum(
        "request_app_access",
        "assign_assets",
        "generate_token",
        "hand_over_token",
        description="Which step.",
    )
    title: str = Field(
        max_length=200, description="The step in words.", examples=["Request access to our app"]
    )
    instructions: list[Annotated[str, Field(max_length=500)]] = Field(
        max_length=20,
        description="What to click, one after the other.",
        examples=[["Open Settings > Accounts > Apps.", "Click Add, then Request app access."]],
    )


class Guide(Answer):
    """How the partner's admin makes the token."""

    app_id: MetaId
    permissions: list[Annotated[str, Field(max_length=64)]] = Field(
        max_length=20,
        description="What the token has to be granted.",
        examples=[["ads_management"]],
    )
    steps: list[GuideStep] = Field(max_length=20)


class AskedPartner(Answer):
    """Whose token is asked for."""

    name: str = Field(max_length=500, examples=["Northwind Media"])
    meta_business_id: MetaId


class CurrentTokenRequest(Answer):
    """All that the holder of the code needs. Reading it changes nothing."""

    state: str = open_enum(
        "open", "opened", "submitted", "rejected", description="Where the request is."
    )
    requested_by: str = Field(
        max_length=200, description="The business that asks.", examples=["Acme"]
    )
    partner: AskedPartner
    expires_at: Instant
    tries_left: int = Field(
        ge=0, le=100, description="How many more tokens may be refused.", examples=[5]
    )
    guide: Guide
    checklist: list[OnboardingStep] = Field(
        max_length=20, description="How far it is, as far as it can be seen."
    )
    must_be_sealed: bool = Field(description="Whether a token in clear is refused.")
    sealing_key: SealingKeyView
    last_validation: TokenValidationView | None = Field(
        description="The proof of the token that was handed over last; null before the first."
    )
