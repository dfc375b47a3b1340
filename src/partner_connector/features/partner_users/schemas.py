"""API schemas of partner users and their grants."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field, create_model

from partner_connector.db.facts import ASSET, PERSON, Fact
from partner_connector.features.changes.schemas import ChangeView
from partner_connector.ids import AssetId, IntegrationId, PartnerId, PartnerUserId
from partner_connector.web.schemas import Answer, Count, Instant, MetaId, Page, TaskName, open_enum


def _members(facts: Mapping[str, Fact]) -> dict[str, Any]:
    """Return facts as members of a Pydantic model."""
    return {name: (fact.type, _described(fact)) for name, fact in facts.items()}


def _described(fact: Fact) -> Any:
    if fact.values:
        return open_enum(*fact.values, description=fact.about or "")
    return Field(max_length=fact.length, description=fact.about, examples=[fact.example])


class _Asset(Answer):
    id: AssetId
    type: str = open_enum(
        "ad_account", "page", "product_catalog", "pixel", description="Type of the asset in Meta."
    )
    meta_id: MetaId


class GrantedAsset(create_model("_AssetFacts", __base__=_Asset, **_members(ASSET))):  # type: ignore[misc] # made of the list
    """Asset that a grant gives access to."""


class GrantView(Answer):
    """Access of one partner user to one asset."""

    asset: GrantedAsset
    tasks: list[TaskName] = Field(
        max_length=100,
        description="The tasks as Meta names them. Empty where Meta does not return them: for a "
        "catalog in an asset group.",
        examples=[["ADVERTISE", "ANALYZE"]],
    )
    full_control: bool = Field(description="True if the user has every task that the share allows.")
    via: str = open_enum(
        "direct",
        "asset_group",
        description="How the access is given. A user with access in both ways has two grants.",
    )
    granted_at: Instant = Field(description="When a check for updates first saw this access.")


class _PartnerUser(Answer):
    id: PartnerUserId
    integration_id: IntegrationId
    partner_id: PartnerId
    meta_user_id: MetaId
    # Declared here only to place it before `state`; `PERSON` describes it.
    kind: str
    state: str = open_enum(
        "active",
        "removed",
        description="`active`: the user has access, as far as checks for updates saw. `removed`: a "
        "check for updates found that the user no longer has any access.",
    )


class PartnerUserView(create_model("_PersonFacts", __base__=_PartnerUser, **_members(PERSON))):  # type: ignore[misc] # made of the list
    """A person, a system user or a pending invite of a partner with access to a shared asset."""

    is_token_holder: bool = Field(
        description="True for the system user whose token the partner is connected with."
    )
    asset_count: Count = Field(
        description="Number of shared assets that the user has access to.", examples=[3]
    )
    first_seen_at: Instant = Field(description="When a check for updates first saw access.")
    last_seen_at: Instant = Field(description="When a check for updates last saw access.")
    removed_at: Instant | None = Field(
        description="When a check for updates found that the user no longer has any access. Null "
        "while active."
    )
    grants: list[GrantView] | None = Field(
        max_length=10000,
        description="The user's access to each asset. Null in a list without `expand=grants`.",
    )
    history: list[ChangeView] | None = Field(
        max_length=100,
        description="The latest changes of this user, newest first. Null in a list. `/v1/changes` "
        "has all changes.",
    )


class PartnerUserPage(Page):
    """A page of partner users."""

    items: list[PartnerUserView] = Field(max_length=100)
