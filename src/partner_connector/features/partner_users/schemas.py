"""Partner users on the wire."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field, create_model

from partner_connector.db.facts import ASSET, PERSON, Fact
from partner_connector.features.changes.schemas import ChangeView
from partner_connector.ids import AssetId, IntegrationId, PartnerId, PartnerUserId
from partner_connector.web.schemas import Answer, Count, Instant, MetaId, Page, TaskName, open_enum


def _members(facts: Mapping[str, Fact]) -> dict[str, Any]:
    """Return facts as members of a view."""
    return {name: (fact.type, _described(fact)) for name, fact in facts.items()}


def _described(fact: Fact) -> Any:
    if fact.values:
        return open_enum(*fact.values, description=fact.about or "")
    return Field(max_length=fact.length, description=fact.about, examples=[fact.example])


class _Asset(Answer):
    id: AssetId
    type: str = open_enum(
        "ad_account", "page", "product_catalog", "pixel", description="Its kind in Meta."
    )
    meta_id: MetaId


class GrantedAsset(create_model("_AssetFacts", __base__=_Asset, **_members(ASSET))):  # type: ignore[misc] # made of the list
    """The asset of a grant."""


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


class _PartnerUser(Answer):
    id: PartnerUserId
    integration_id: IntegrationId
    partner_id: PartnerId
    meta_user_id: MetaId
    # A fact, described by the list; here for its place before `state`.
    kind: str
    state: str = open_enum("active", "removed", description="Whether access was still seen.")


class PartnerUserView(create_model("_PersonFacts", __base__=_PartnerUser, **_members(PERSON))):  # type: ignore[misc] # made of the list
    """A person or system user of a partner, with access to an asset shared with us."""

    is_token_holder: bool = Field(
        description="The system user whose token the partner is connected with."
    )
    asset_count: Count = Field(description="Shared assets with access.", examples=[3])
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
