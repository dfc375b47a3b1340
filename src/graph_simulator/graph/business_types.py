"""Businesses: their partners, assets, people and apps.

Facts: `docs/reference/graph-facts.md#business`, `#partner-lists`, `#asset-lists`,
`#business-users`, `#pending-users`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from graph_simulator.graph import errors
from graph_simulator.graph.schema import (
    ABSENT,
    Edge,
    FieldGetter,
    LinkGetter,
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
    App,
    AppRequest,
    Asset,
    AssetGroup,
    Business,
    Invite,
    Member,
    Person,
    SystemUser,
)
from graph_simulator.model.vocabulary import KINDS, AssetKind

PARTIAL_STEP = 3
"""With the switch `business_users: partial`, every third person is listed (`#business-users`)."""

PERMISSION_ROWS: dict[str, AssetKind] = {
    "adaccount_permissions": "ad_account",
    "page_permissions": "page",
    "productcatalog_permissions": "product_catalog",
}


@dataclass(frozen=True, slots=True)
class AssetRequest:
    id: str
    asset: Asset


# Access


def _check_business(reading: Reading, business: Business) -> None:
    if not reading.viewer.is_related_to(business):
        raise errors.unsupported_get(business.id)
    reading.viewer.require_business_scope(business)


def _require_own(reading: Reading, business: Business) -> None:
    """Refuse to list what another business has, even a partner (`#plan-partners`)."""
    if not reading.viewer.is_of(business) or reading.viewer.token.type == "PAGE":
        raise errors.unsupported_get(business.id)


def _require_scope(reading: Reading, business: Business) -> None:
    _require_own(reading, business)
    reading.viewer.require_business_scope(business)


# Fields


def _detail(getter: FieldGetter) -> FieldGetter:
    """Wrap the getter of a field that may be absent for other businesses (`#plan-partners`)."""

    def read(reading: Reading, business: Business) -> Any:
        shown = reading.switches.partner_details or reading.viewer.is_of(business)
        return getter(reading, business) if shown else ABSENT

    return read


def _primary_page(_reading: Reading, business: Business) -> Any:
    page = next(iter(business.owned["page"].values()), None)
    return ABSENT if page is None else Ref("Page", page)


# agencies and clients: the link is the receiver's id and the assets shared with it


def _agencies(reading: Reading, business: Business, _params: Params) -> Sequence[Business]:
    _require_scope(reading, business)
    businesses = reading.world.businesses
    return [businesses[business_id] for business_id in business.agencies]


def _clients(reading: Reading, business: Business, _params: Params) -> Sequence[Business]:
    _require_scope(reading, business)
    businesses = reading.world.businesses
    return [businesses[business_id] for business_id in business.clients]


def _agency_assets(_reading: Reading, parent: Business, agency: Business, _p: Params) -> Any:
    return (agency.id, parent.agencies[agency.id])


def _client_assets(_reading: Reading, parent: Business, client: Business, _p: Params) -> Any:
    return (parent.id, parent.clients[client.id])


def _permission_rows(kind: AssetKind) -> LinkGetter:
    def read(reading: Reading, _business: Business, link: tuple[str, dict[str, Asset]]) -> Any:
        receiver, assets = link
        mode = reading.switches.permissions_rows
        if mode in ("absent", "refused"):
            return ABSENT
        of_kind = reading.viewer.visible(kind, (a for a in assets.values() if a.kind == kind))
        rows = [_permission_row(reading, asset, receiver, mode) for asset in of_kind]
        return rows or ABSENT

    return read


def _permission_row(reading: Reading, asset: Asset, receiver: str, mode: str) -> dict[str, Any]:
    if mode == "id_only":
        return {"id": asset.graph_id}
    share = asset.shares[receiver]
    row: dict[str, Any] = {"id": asset.graph_id}
    status = format_word(share.access_status, reading.switches.access_status)
    if status is not ABSENT:
        row["access_status"] = status
    return {**row, "permitted_tasks": list(share.permitted_tasks)}


PARTNER_FIELDS: dict[str, LinkGetter] = {
    **{name: _permission_rows(kind) for name, kind in PERMISSION_ROWS.items()},
    "application_permissions": lambda _reading, _business, _link: ABSENT,
    "shared_ca_count": lambda _reading, _business, _link: 0,
}
PARTNER_DEFAULTS = (*PARTNER_FIELDS,)


def _relationships(reading: Reading, business: Business, _params: Params) -> Sequence[Business]:
    _require_scope(reading, business)
    if not reading.switches.partner_relationships:
        raise errors.capability_missing()
    businesses = reading.world.businesses
    return [businesses[other] for other in {**business.agencies, **business.clients}]


def _relationship(_reading: Reading, other: Business, parent: Business) -> list[str]:
    directions = (("AGENCY", parent.agencies), ("CLIENT", parent.clients))
    return [name for name, index in directions if other.id in index]


# Assets of a business


def _may_read_assets(reading: Reading, business: Business) -> bool:
    """Return False without the scope: then lists are empty. With `missing_scope: error`, raise."""
    _require_own(reading, business)
    if reading.viewer.token.has_any(("business_management",)):
        return True
    if reading.switches.missing_scope == "error":
        raise errors.permission_missing("business_management", 403)
    return False


def _require_kind_scope(reading: Reading, kind: AssetKind) -> None:
    wanted = KINDS[kind].scopes
    if reading.switches.missing_scope == "error" and not reading.viewer.token.has_any(wanted):
        raise errors.permission_missing(wanted[0], 403)


def _owned(kind: AssetKind) -> Edge:
    def items(reading: Reading, business: Business, _params: Params) -> Sequence[Asset]:
        if not _may_read_assets(reading, business):
            return ()
        _require_kind_scope(reading, kind)
        return reading.viewer.visible(kind, business.owned[kind].values())

    return Edge(KINDS[kind].node_type, items)


def _received(kind: AssetKind) -> Edge:
    def items(reading: Reading, business: Business, _params: Params) -> Sequence[Asset]:
        if not _may_read_assets(reading, business):
            return ()
        _require_kind_scope(reading, kind)
        if kind == "ad_account" and reading.switches.client_ad_accounts_lapsed:
            return ()
        return reading.viewer.visible(kind, business.received[kind].values())

    def permitted(_reading: Reading, asset: Asset, business: Business) -> list[str]:
        return list(asset.shares[business.id].permitted_tasks)

    def roles(_reading: Reading, asset: Asset, business: Business) -> list[str]:
        full = "MANAGE" in asset.shares[business.id].permitted_tasks
        return ["ADMIN"] if full else ["ADVERTISER"]

    # Catalogs have roles where other kinds have tasks (`#asset-lists`); both only on request.
    fields: dict[str, LinkGetter] = (
        {"permitted_roles": roles} if kind == "product_catalog" else {"permitted_tasks": permitted}
    )
    return Edge(KINDS[kind].node_type, items, lambda _r, business, _a, _p: business, fields)


def _pending(kind: AssetKind, target: str) -> Edge:
    def items(reading: Reading, business: Business, _params: Params) -> Sequence[AssetRequest]:
        if not _may_read_assets(reading, business):
            return ()
        return [AssetRequest(f"9{a.id}", a) for a in business.offered[kind].values()]

    return Edge(target, items)


def _all_pixels(reading: Reading, business: Business, _params: Params) -> Sequence[Asset]:
    if not _may_read_assets(reading, business):
        return ()
    both = {**business.owned["pixel"], **business.received["pixel"]}
    return reading.viewer.visible("pixel", both.values())


def _asset_groups(reading: Reading, business: Business, _params: Params) -> Sequence[AssetGroup]:
    _require_scope(reading, business)
    return list(business.groups.values())


# People of a business


def _require_people(reading: Reading, business: Business, mode: str) -> None:
    """Refuse the people of a business that does not own the app, if a switch says so.

    See `#open-unclaimed-app`.
    """
    _require_scope(reading, business)
    member = reading.viewer.member
    if not reading.viewer.is_admin and not reading.switches.employee_reads_people:
        raise errors.permission_missing("business_management", 403)
    if mode != "refused" or business.owned_app_ids or member is None:
        return
    code = reading.switches.people_refusal_code
    if code == 3:  # noqa: PLR2004 - Graph code 3, "capability"
        raise errors.capability_missing()
    if code == 100:  # noqa: PLR2004 - Graph code 100
        raise errors.unsupported_get(business.id)
    raise errors.permission_missing("business_management", 403)


def _business_users(reading: Reading, business: Business, _params: Params) -> Sequence[Person]:
    mode = reading.switches.business_users
    _require_people(reading, business, mode)
    people = list(business.people.values())
    if mode == "partial" and not business.owned_app_ids:
        return people[::PARTIAL_STEP]
    return people


def _system_users(reading: Reading, business: Business, _params: Params) -> Sequence[SystemUser]:
    _require_people(reading, business, reading.switches.system_users)
    return list(business.system_users.values())


def _pending_users(reading: Reading, business: Business, params: Params) -> Sequence[Invite]:
    _require_people(reading, business, reading.switches.business_users)
    wanted = params.get("email")
    return [invite for invite in business.invites.values() if wanted in (None, invite.email)]


def _role(reading: Reading, member: Member, _link: object) -> str:
    return format_role(reading, member.role)


# Apps


def _apps(attribute_name: str) -> Edge:
    def items(reading: Reading, business: Business, _params: Params) -> Sequence[App]:
        _require_scope(reading, business)
        apps = reading.world.apps
        return [apps[app_id] for app_id in getattr(business, attribute_name)]

    return Edge("Application", items)


def _app_requests(reading: Reading, business: Business, _params: Params) -> Sequence[AppRequest]:
    _require_scope(reading, business)
    return list(business.app_requests.values())


# Node types

BUSINESS = NodeType(
    "Business",
    fields={
        "id": attribute("id"),
        "name": attribute("name"),
        "verification_status": _detail(attribute("verification_status")),
        "two_factor_type": _detail(attribute("two_factor_type")),
        "created_time": _detail(time_field("created_at")),
        "updated_time": _detail(time_field("created_at")),
        "link": _detail(
            lambda _reading, b: f"https://business.facebook.com/latest/home?business_id={b.id}"
        ),
        "primary_page": _primary_page,
        "timezone_id": attribute("timezone_id"),
        "vertical": attribute("vertical"),
        "is_hidden": constant(False),
        "profile_picture_uri": lambda _reading, b: f"https://scontent.example.com/{b.id}.png",
    },
    edges={
        "agencies": Edge(
            "Business", _agencies, _agency_assets, PARTNER_FIELDS, PARTNER_DEFAULTS, summary=True
        ),
        "clients": Edge(
            "Business", _clients, _client_assets, PARTNER_FIELDS, PARTNER_DEFAULTS, summary=True
        ),
        "partner_relationships": Edge(
            "Business",
            _relationships,
            lambda _reading, parent, _other, _params: parent,
            fields={"relationship": _relationship},
            defaults=("relationship",),
            summary=True,
        ),
        **{f"owned_{facts.plural}": _owned(kind) for kind, facts in KINDS.items()},
        **{f"client_{facts.plural}": _received(kind) for kind, facts in KINDS.items()},
        "adspixels": Edge("AdsPixel", _all_pixels),
        "pending_client_ad_accounts": _pending("ad_account", "BusinessAdAccountRequest"),
        "pending_client_pages": _pending("page", "BusinessPageRequest"),
        "owned_apps": _apps("owned_app_ids"),
        "client_apps": _apps("client_app_ids"),
        "pending_client_apps": Edge("BusinessApplicationRequest", _app_requests),
        "business_asset_groups": Edge("BusinessAssetGroup", _asset_groups),
        "business_users": Edge(
            "BusinessUser",
            _business_users,
            fields={"role": _role},
            defaults=("role",),
            summary=True,
        ),
        "system_users": Edge(
            "SystemUser", _system_users, fields={"role": _role}, defaults=("role",), summary=True
        ),
        "pending_users": Edge("BusinessRoleRequest", _pending_users, summary=True),
    },
    refs={"primary_page": "Page"},
    valueless=frozenset(
        {
            "extended_updated_time",
            "created_by",
            "updated_by",
            "vertical_id",
            "user_access_expire_time",
            "block_offline_analytics",
            "payment_account_id",
        }
    ),
    check=_check_business,
)

AD_ACCOUNT_REQUEST = NodeType(
    "BusinessAdAccountRequest",
    fields={"id": attribute("id"), "ad_account": lambda _reading, r: Ref("AdAccount", r.asset)},
    defaults=("id", "ad_account"),
    refs={"ad_account": "AdAccount"},
)
PAGE_REQUEST = NodeType(
    "BusinessPageRequest",
    fields={"id": attribute("id"), "page": lambda _reading, r: Ref("Page", r.asset)},
    defaults=("id", "page"),
    refs={"page": "Page"},
)

BUSINESS_TYPES = (BUSINESS, AD_ACCOUNT_REQUEST, PAGE_REQUEST)
