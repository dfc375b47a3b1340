"""People, system users and their assigned assets.

Facts: `docs/reference/graph-facts.md#business-users`, `#system-user-roles` and `#pending-users`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from graph_simulator.graph import errors
from graph_simulator.graph.access import BUSINESS_SCOPE
from graph_simulator.graph.schema import (
    ABSENT,
    Edge,
    NodeType,
    Params,
    Reading,
    Ref,
    attribute,
    constant,
    format_role,
    format_word,
    time_field,
)
from graph_simulator.model.records import (
    Account,
    Asset,
    AssetGroup,
    Business,
    Member,
    Person,
    SystemUser,
)
from graph_simulator.model.vocabulary import KINDS, PAGE, AssetKind

FOREIGN_APP_OFFSET = 9_000_000_000


@dataclass(frozen=True, slots=True)
class PermissionRow:
    id: str
    """The permission's name: Meta gives these rows no id."""


# Access


def _check_member(reading: Reading, member: Member) -> None:
    viewer = reading.viewer
    if viewer.business is None or member.business_id != viewer.business.id:
        raise errors.unsupported_get(member.id)


def _check_self(reading: Reading, member: Member | Account) -> None:
    if reading.viewer.actor_id != member.id:
        raise errors.unsupported_get(member.id)


def _member_of(reading: Reading, node: Member | Account) -> Member:
    """Return the member that holds the assignments: for a Facebook profile, its person."""
    if isinstance(node, Account):
        return reading.world.members[node.person_id]
    return node


# Fields


def system_user_id(reading: Reading, member: Member) -> str:
    """Return the id, which may be scoped to the token's app (`#open-app-scoped-ids`)."""
    scoped = (
        reading.switches.app_scoped_system_users
        and isinstance(member, SystemUser)
        and reading.viewer.token.app_id != reading.world.app.id
    )
    return str(int(member.id) + FOREIGN_APP_OFFSET) if scoped else member.id


def _business(reading: Reading, member: Member) -> Ref:
    return Ref("Business", reading.world.businesses[member.business_id])


def _role(reading: Reading, member: Member) -> str:
    return format_role(reading, member.role)


def _two_fac(reading: Reading, person: Person) -> Any:
    status = person.two_fac_status
    return ABSENT if status is None else format_word(status, reading.switches.two_fac_status)


def _user_type(reading: Reading, member: Member) -> Any:
    word = "SYSTEM_USER" if isinstance(member, SystemUser) else "BUSINESS_USER"
    return format_word(word, reading.switches.user_type)


# Edges of a member


def _assigned(kind: AssetKind) -> Edge:
    def items(reading: Reading, node: Member | Account, _params: Params) -> Sequence[Asset]:
        member = _member_of(reading, node)
        _check_member(reading, member)
        assets = reading.world.assets
        mine = (assets[asset_id] for asset_id in member.assigned)
        return reading.viewer.visible(kind, (asset for asset in mine if asset.kind == kind))

    def link(reading: Reading, node: Member | Account, asset: Asset, _params: Params) -> Any:
        return (_member_of(reading, node), asset.id)

    def tasks(_reading: Reading, asset: Asset, link: tuple[Member, str]) -> list[str]:
        return list(link[0].assigned[asset.id])

    def permitted(_reading: Reading, asset: Asset, link: tuple[Member, str]) -> list[str]:
        return list(permitted_tasks(asset, link[0].business_id))

    def access_type(_reading: Reading, asset: Asset, link: tuple[Member, str]) -> str:
        return "OWNER" if asset.owner_id == link[0].business_id else "AGENCY"

    if kind == "product_catalog":
        # Meta documents access_type and no tasks; a switch allows them (`#open-catalog-tasks`).
        fields = {"access_type": access_type, "tasks": tasks, "permitted_tasks": permitted}
        return Edge(KINDS[kind].node_type, items, link, fields, defaults=("access_type",))
    fields = {"tasks": tasks, "permitted_tasks": permitted}
    return Edge(KINDS[kind].node_type, items, link, fields, defaults=("tasks",))


def permitted_tasks(asset: Asset, business_id: str) -> tuple[str, ...]:
    """Return the tasks that people of a business may have: all for the owner, else the share's."""
    share = asset.shares.get(business_id)
    return asset.full_control if share is None else share.permitted_tasks


def _groups(reading: Reading, node: Member | Account, params: Params) -> Sequence[AssetGroup]:
    member = _member_of(reading, node)
    _check_member(reading, member)
    wanted = params.get("contained_asset_id", "").removeprefix("act_")
    groups = [reading.world.groups[group_id] for group_id in member.group_ids]
    return [group for group in groups if not wanted or wanted in group.asset_ids]


def _group_link(reading: Reading, node: Member | Account, group: AssetGroup, _p: Params) -> Any:
    return group.members[_member_of(reading, node).id]


def _group_tasks(kind: AssetKind) -> Any:
    return lambda _reading, _group, tasks: list(tasks[kind]) if kind in tasks else ABSENT


GROUPS = Edge(
    "BusinessAssetGroup",
    _groups,
    _group_link,
    fields={facts.group_field: _group_tasks(kind) for kind, facts in KINDS.items()}
    | {"offline_conversion_data_set_tasks": lambda _reading, _group, _tasks: ABSENT},
    defaults=tuple(facts.group_field for facts in KINDS.values()),
)

ASSIGNED = {
    "assigned_ad_accounts": _assigned("ad_account"),
    "assigned_pages": _assigned("page"),
    "assigned_product_catalogs": _assigned("product_catalog"),
    "assigned_ads_pixels": _assigned("pixel"),
    "assigned_business_asset_groups": GROUPS,
}


# Edges of the token's owner (`/me/…`)


def _businesses(reading: Reading, node: Member | Account, _params: Params) -> Sequence[Business]:
    _check_self(reading, node)
    viewer = reading.viewer
    if viewer.business is None or not viewer.token.has_any(BUSINESS_SCOPE):
        return ()
    return (viewer.business,)


def _permissions(reading: Reading, node: Any, params: Params) -> Sequence[PermissionRow]:
    _check_self(reading, node)
    if params.get("status", "granted") != "granted":
        return ()
    wanted = params.get("permission")
    scopes = reading.viewer.token.scopes
    return [PermissionRow(scope) for scope in scopes if wanted in (None, scope)]


def _pages(reading: Reading, node: Member | Account, _params: Params) -> Sequence[Asset]:
    """Return the assigned Pages; none without `business_management` (`#short-lists`)."""
    _check_self(reading, node)
    member = _member_of(reading, node)
    assets = reading.world.assets
    mine = (assets[asset_id] for asset_id in member.assigned)
    return reading.viewer.visible(PAGE, (asset for asset in mine if asset.kind == PAGE))


def _own_people(reading: Reading, node: Account, _params: Params) -> Sequence[Member]:
    _check_self(reading, node)
    return (_member_of(reading, node),)


SELF = {
    "businesses": Edge(
        "Business",
        _businesses,
        lambda reading, *_: reading.viewer.member,
        fields={"permitted_roles": lambda _reading, _business, member: [member.role]},
    ),
    "permissions": Edge("Permission", _permissions),
    "accounts": Edge(
        "Page",
        _pages,
        lambda reading, _node, page, _params: reading.viewer.tasks_on(page),
        fields={"tasks": lambda _reading, _page, tasks: list(tasks)},
        defaults=("access_token", "category", "tasks"),
    ),
}


# Node types

BUSINESS_USER = NodeType(
    "BusinessUser",
    fields={
        "id": attribute("id"),
        "name": attribute("name"),
        "first_name": attribute("first_name"),
        "last_name": attribute("last_name"),
        "email": attribute("email"),
        "pending_email": attribute("pending_email"),
        "title": attribute("title"),
        "role": _role,
        "two_fac_status": _two_fac,
        "finance_permission": attribute("finance_permission"),
        "business": _business,
        "marked_for_removal": attribute("marked_for_removal"),
        "invited_user_type": constant(["FB"]),
    },
    defaults=("id", "name", "business"),
    edges=ASSIGNED,
    refs={"business": "Business"},
    valueless=frozenset({"business_role_request", "ip_permission", "tasks"}),
    check=_check_member,
)

SYSTEM_USER = NodeType(
    "SystemUser",
    fields={
        "id": system_user_id,
        "name": attribute("name"),
        "created_time": time_field("created_at"),
        "finance_permission": attribute("finance_permission"),
    },
    edges=ASSIGNED | SELF,
    valueless=frozenset({"created_by", "ip_permission"}),
    check=_check_member,
)

ASSIGNED_USER = NodeType(
    "AssignedUser",
    fields={
        "id": system_user_id,
        "name": attribute("name"),
        "user_type": _user_type,
        "business": _business,
    },
    refs={"business": "Business"},
)

USER = NodeType(
    "User",
    fields={"id": attribute("id"), "name": attribute("name")},
    edges=ASSIGNED | SELF | {"business_users": Edge("BusinessUser", _own_people)},
    valueless=frozenset(
        {"first_name", "last_name", "email", "client_business_id", "is_guest_user"}
    ),
    check=_check_self,
)

INVITE = NodeType(
    "BusinessRoleRequest",
    fields={
        "id": attribute("id"),
        "email": attribute("email"),
        "role": _role,
        "status": attribute("status"),
        "created_time": time_field("created_at"),
        "expiration_time": time_field("expires_at"),
        "expiry_time": time_field("expires_at"),
        "owner": _business,
        "invited_user_type": constant(["FB"]),
        "invite_link": lambda _reading, invite: f"https://business.example.com/join/{invite.id}",
    },
    defaults=("id", "email", "role", "status"),
    refs={"owner": "Business"},
    valueless=frozenset(
        {"tasks", "finance_role", "ip_role", "created_by", "updated_by", "updated_time"}
    ),
)

PERMISSION = NodeType(
    "Permission",
    fields={"permission": attribute("id"), "status": constant("granted")},
    defaults=("permission", "status"),
)

PEOPLE_TYPES = (BUSINESS_USER, SYSTEM_USER, ASSIGNED_USER, USER, INVITE, PERMISSION)
