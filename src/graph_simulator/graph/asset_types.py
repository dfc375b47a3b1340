"""Ad accounts, Pages, catalogs, pixels and asset groups.

Facts: `docs/reference/graph-facts.md#asset-agencies`, `#assigned-users` and `#full-control`.
"""

from collections.abc import Sequence
from typing import Any

from graph_simulator.graph import errors
from graph_simulator.graph.people_types import permitted_tasks
from graph_simulator.graph.schema import (
    ABSENT,
    Edge,
    FieldGetter,
    NodeType,
    Params,
    Reading,
    Ref,
    attribute,
    constant,
    format_time,
    format_word,
    time_field,
)
from graph_simulator.model.records import Asset, AssetGroup, Business, Member, Share
from graph_simulator.model.vocabulary import KINDS, PAGE, AssetKind

# Access


def _check_asset(reading: Reading, asset: Asset) -> None:
    """Raise an error for an invisible asset: 200 if only the scope is missing, else 100/33."""
    viewer = reading.viewer
    if viewer.sees(asset):
        return
    own = viewer.business
    related = own is not None and (asset.owner_id == own.id or own.id in asset.shares)
    if related and not viewer.token.has_any(KINDS[asset.kind].scopes):
        raise errors.permission_missing(KINDS[asset.kind].scopes[0], 403)
    raise errors.unsupported_get(asset.graph_id)


def _check_group(reading: Reading, group: AssetGroup) -> None:
    if reading.viewer.business is None or group.owner_id != reading.viewer.business.id:
        raise errors.unsupported_get(group.id)


# Fields


def _owner(reading: Reading, asset: Asset) -> Ref:
    return Ref("Business", reading.world.businesses[asset.owner_id])


def _page_token(reading: Reading, page: Asset) -> Any:
    text = reading.viewer.page_token(page)
    return ABSENT if text is None else text


def _user_tasks(reading: Reading, asset: Asset) -> Any:
    return list(reading.viewer.tasks_on(asset)) or ABSENT


# assigned_users


def _assigned_users(reading: Reading, asset: Asset, params: Params) -> Sequence[Member]:
    """Return the people and system users of one business with a direct assignment."""
    if asset.kind == PAGE:
        reading.viewer.require_page_management(asset)
    business_id = params["business"]
    _require_people_of(reading, asset, business_id)
    world = reading.world
    members = [world.members[member_id] for member_id in asset.assigned.get(business_id, ())]
    if reading.switches.assigned_users_include_groups:
        members += _through_groups(reading, asset, business_id, {m.id for m in members})
    return members


def _require_people_of(reading: Reading, asset: Asset, business_id: str) -> None:
    """Refuse another business's people, unless a switch allows it (`#open-partner-people`)."""
    viewer = reading.viewer
    if not business_id.isdigit():
        raise errors.bad_parameter("Param business must be a valid ID string")
    if viewer.business is not None and business_id == viewer.business.id:
        return
    owner_asks = viewer.business is not None and asset.owner_id == viewer.business.id
    if not (reading.switches.host_sees_partner_people and owner_asks):
        raise errors.unsupported_get(business_id)


def _through_groups(
    reading: Reading, asset: Asset, business_id: str, already: set[str]
) -> list[Member]:
    world = reading.world
    return [
        world.members[member_id]
        for group_id in asset.group_ids
        if world.groups[group_id].owner_id == business_id
        for member_id in world.groups[group_id].members
        if member_id not in already
    ]


def _assigned_tasks(reading: Reading, member: Member, asset: Asset) -> list[str]:
    return list(reading.world.tasks_of(member, asset))


def _assignable_tasks(_reading: Reading, member: Member, asset: Asset) -> list[str]:
    return list(permitted_tasks(asset, member.business_id))


ASSIGNED_USERS = Edge(
    "AssignedUser",
    _assigned_users,
    lambda _reading, asset, _member, _params: asset,
    fields={"tasks": _assigned_tasks, "permitted_tasks": _assignable_tasks},
    defaults=("tasks",),
    required=("business",),
    summary=True,
)


# agencies


def _agencies(reading: Reading, asset: Asset, _params: Params) -> Sequence[Business]:
    """Return the businesses an asset is shared with. Only the owner sees other businesses."""
    if asset.kind == PAGE:
        reading.viewer.require_page_management(asset)
    own = reading.viewer.business
    businesses = reading.world.businesses
    return [
        businesses[business_id]
        for business_id in asset.shares
        if own is not None and own.id in (asset.owner_id, business_id)
    ]


def _share_status(reading: Reading, _business: Business, share: Share) -> Any:
    return format_word(share.access_status, reading.switches.access_status)


AGENCIES = Edge(
    "Business",
    _agencies,
    lambda _reading, asset, business, _params: asset.shares[business.id],
    fields={
        "access_status": _share_status,
        "permitted_tasks": lambda _reading, _business, share: list(share.permitted_tasks),
        "access_requested_time": lambda _reading, _b, share: format_time(share.requested_at),
        "access_updated_time": lambda _reading, _b, share: format_time(share.updated_at),
    },
    defaults=(
        "access_status",
        "permitted_tasks",
        "access_requested_time",
        "access_updated_time",
    ),
)
SHARED_AGENCIES = Edge("Business", _agencies)
EDGES = {"agencies": AGENCIES, "assigned_users": ASSIGNED_USERS}


# Asset groups


def _contained(kind: AssetKind) -> Edge:
    def items(reading: Reading, group: AssetGroup, _params: Params) -> Sequence[Asset]:
        assets = reading.world.assets
        inside = (assets[asset_id] for asset_id in group.asset_ids)
        return reading.viewer.visible(kind, (asset for asset in inside if asset.kind == kind))

    return Edge(KINDS[kind].node_type, items)


def _group_users(reading: Reading, group: AssetGroup, params: Params) -> Sequence[Member]:
    if params["business"] != group.owner_id:
        raise errors.unsupported_get(params["business"])
    return [reading.world.members[member_id] for member_id in group.members]


def _all_group_tasks(_reading: Reading, member: Member, group: AssetGroup) -> list[str]:
    return [task for tasks in group.members[member.id].values() for task in tasks]


# Node types


OWNERS = {"owner_business": "Business", "business": "Business"}


def _common(kind: AssetKind) -> dict[str, FieldGetter]:
    fields = {"id": attribute("graph_id"), "name": attribute("name"), "owner_business": _owner}
    return fields if kind == "pixel" else {**fields, "business": _owner}


AD_ACCOUNT = NodeType(
    "AdAccount",
    fields={
        **_common("ad_account"),
        "account_id": attribute("id"),
        "account_status": constant(1),
        "currency": constant("EUR"),
        "timezone_name": constant("Europe/Lisbon"),
        "created_time": time_field("created_at"),
        "owner": attribute("owner_id"),
        "amount_spent": constant("0"),
        "user_tasks": _user_tasks,
        "disable_reason": constant(0),
    },
    defaults=("account_id", "id"),
    refs=OWNERS,
    edges=EDGES,
    valueless=frozenset(
        {"user_access_expire_time", "business_name", "balance", "spend_cap", "age"}
    ),
    check=_check_asset,
)

PAGE_TYPE = NodeType(
    "Page",
    fields={
        **_common("page"),
        "category": constant("Brand"),
        "link": lambda _reading, page: f"https://www.facebook.com/{page.id}",
        "is_published": constant(True),
        "has_transitioned_to_new_page_experience": attribute("new_page_experience"),
        "access_token": _page_token,
    },
    refs=OWNERS,
    edges=EDGES,
    valueless=frozenset({"user_access_expire_time", "username", "verification_status", "about"}),
    check=_check_asset,
)

PRODUCT_CATALOG = NodeType(
    "ProductCatalog",
    fields={
        **_common("product_catalog"),
        "vertical": constant("commerce"),
        "product_count": constant(120),
        "feed_count": constant(1),
    },
    refs=OWNERS,
    edges=EDGES,
    valueless=frozenset({"user_access_expire_time", "default_image_url", "is_catalog_segment"}),
    check=_check_asset,
)

PIXEL = NodeType(
    "AdsPixel",
    fields={
        **_common("pixel"),
        "creation_time": time_field("created_at"),
        "last_fired_time": time_field("created_at"),
        "is_unavailable": constant(False),
    },
    refs=OWNERS,
    edges={**EDGES, "shared_agencies": SHARED_AGENCIES},
    valueless=frozenset({"user_access_expire_time", "owner_ad_account", "code", "creator"}),
    check=_check_asset,
)

ASSET_GROUP = NodeType(
    "BusinessAssetGroup",
    refs=OWNERS,
    fields={"id": attribute("id"), "name": attribute("name"), "owner_business": _owner},
    edges={
        **{facts.contained: _contained(kind) for kind, facts in KINDS.items()},
        "assigned_users": Edge(
            "AssignedUser",
            _group_users,
            lambda _reading, group, _member, _params: group,
            fields={"tasks": _all_group_tasks},
            defaults=("tasks",),
            required=("business",),
            summary=True,
        ),
    },
    check=_check_group,
)

ASSET_TYPES = (AD_ACCOUNT, PAGE_TYPE, PRODUCT_CATALOG, PIXEL, ASSET_GROUP)
