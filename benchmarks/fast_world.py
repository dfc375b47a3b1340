"""The world of the fast Graph server: computed ids, and the rows of every edge.

Everything is computed from the sizes, so that a million grants need no memory and each page is
available at once. All partners are agencies. They have ad accounts, pages, catalogs and pixels of
the host in turn. Every person of a partner is assigned to every shared asset.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

APP_ID = "2965389650414399"
SCOPES = (
    "ads_management",
    "business_management",
    "catalog_management",
    "pages_manage_metadata",
    "pages_read_engagement",
    "pages_show_list",
)
KINDS = ("ad_account", "page", "product_catalog", "pixel")
EDGE_OF_KIND = {
    "client_ad_accounts": "ad_account",
    "client_pages": "page",
    "client_product_catalogs": "product_catalog",
    "client_pixels": "pixel",
}
# Tasks by kind; the first is full control. Assets differ in the people that have them.
_TASKS = {
    "ad_account": (
        ("DRAFT", "ANALYZE", "ADVERTISE", "MANAGE"),
        ("DRAFT", "ANALYZE", "ADVERTISE"),
        ("DRAFT", "ANALYZE"),
        ("ANALYZE",),
    ),
    "page": (
        ("ADVERTISE", "ANALYZE", "CREATE_CONTENT", "MANAGE", "MESSAGING", "MODERATE"),
        ("ADVERTISE", "ANALYZE", "CREATE_CONTENT"),
        ("ANALYZE", "MODERATE"),
        ("ANALYZE",),
    ),
    "product_catalog": (
        ("AA_ANALYZE", "ADVERTISE", "MANAGE"),
        ("AA_ANALYZE", "ADVERTISE"),
        ("ADVERTISE",),
        ("AA_ANALYZE",),
    ),
    "pixel": (
        ("ADVERTISE", "ANALYZE", "EDIT", "UPLOAD"),
        ("ADVERTISE", "ANALYZE"),
        ("ANALYZE", "UPLOAD"),
        ("ANALYZE",),
    ),
}
_VARIANTS = 4
_ROLES = ("EMPLOYEE", "ADMIN", "EMPLOYEE", "FINANCE_EDITOR", "DEVELOPER")


@dataclass(frozen=True, slots=True)
class Size:
    """Size of one host business: its partners, and the assets and users of each partner."""

    partners: int
    assets: int
    users: int

    @property
    def grants(self) -> int:
        """Grants of one partner, with one of its system user on each asset."""
        return self.assets * (self.users + 1)


@dataclass(frozen=True, slots=True)
class Name:
    """Parts of an id: the kind, the host, the partner (0 is the host itself) and the place."""

    kind: str
    host: int
    partner: int
    place: int = 0

    @property
    def id(self) -> str:
        """The id as digits, like Meta's ids."""
        return f"{_DIGITS[self.kind]}{self.host:02}{self.partner:05}{self.place:06}"


_DIGITS = {"business": 10, "user": 12, "system_user": 61, "ad_account": 21, "page": 22}
_DIGITS |= {"product_catalog": 23, "pixel": 24}
_KIND_OF_DIGITS = {digits: kind for kind, digits in _DIGITS.items()}


def parse_id(text: str) -> Name:
    """Parse an id. Raises `ValueError` or `KeyError` for an id of another world."""
    digits = text.removeprefix("act_")
    kind = _KIND_OF_DIGITS[int(digits[:2])]
    return Name(kind, int(digits[2:4]), int(digits[4:9]), int(digits[9:15]))


def token_of(name: Name) -> str:
    """Return the access token of a business's system user, or of a page."""
    return f"EAAbench{name.id}"


def owner_of(token: str) -> Name:
    """Return the business or page that owns a token."""
    return parse_id(token.removeprefix("EAAbench"))


def kind_at(place: int) -> str:
    """Return the kind of the asset at a place; the kinds come in turn."""
    return KINDS[place % len(KINDS)]


def asset_at(host: int, partner: int, place: int) -> Name:
    """Return a shared asset by its place among all assets of the partner."""
    return Name(kind_at(place), host, partner, place)


def partner_at(host: int, place: int) -> Name:
    """Return a partner of this host, counted from 1."""
    return Name("business", host, place)


def user_of(business: Name, place: int) -> Name:
    """Return a person of a business, counted from 1."""
    return Name("user", business.host, business.partner, place)


def system_user_of(business: Name) -> Name:
    """Return the system user whose token the business hands over."""
    return Name("system_user", business.host, business.partner)


def business_row(business: Name) -> str:
    """Render a partner as a row of `agencies`."""
    return _to_json({"id": business.id, "name": f"Agency {business.partner:05}"})


def person_row(user: Name) -> str:
    """Render a person as a row of `business_users`."""
    place = user.place
    return _to_json(
        {
            "id": user.id,
            "name": f"Jaya Juniper the {place}th",
            "first_name": "Jaya",
            "last_name": f"Juniper the {place}th",
            "email": f"jaya.juniper.{place}@agency-{user.partner:05}.example.com",
            "title": "Media planner",
            "role": _ROLES[place % len(_ROLES)],
            "two_fac_status": "enabled" if place % 3 else "disabled",
        }
    )


def system_user_row(business: Name) -> str:
    """Render the only system user of a business."""
    user = system_user_of(business)
    return _to_json({"id": user.id, "name": "Agency connector", "role": "ADMIN"})


def asset_fields(asset: Name) -> dict[str, object]:
    """Return the fields of a shared asset in the lists of shared assets."""
    host = {"id": Name("business", asset.host, 0).id, "name": "Our own business"}
    is_account, is_pixel = asset.kind == "ad_account", asset.kind == "pixel"
    tasks = "permitted_roles" if asset.kind == "product_catalog" else "permitted_tasks"
    return {
        "id": f"act_{asset.id}" if is_account else asset.id,
        **({"account_id": asset.id} if is_account else {}),
        "name": f"Our own business / {asset.kind} {asset.place:06}",
        "owner_business" if is_pixel else "business": host,
        tasks: _TASKS[asset.kind][0],
    }


@lru_cache(maxsize=1 << 16)
def assigned_row(kind: str, host: int, partner: int, place: int, variant: int) -> str:
    """Render a row of `assigned_users`. Place 0 is the system user, with full control."""
    if place:
        user, name, sort = Name("user", host, partner, place), f"Jaya Juniper the {place}th", "USER"
    else:
        user, name, sort = Name("system_user", host, partner), "Agency connector", "SYSTEM_USER"
    business = {"id": Name("business", host, partner).id, "name": f"Agency {partner:05}"}
    tasks = _TASKS[kind][variant if place else 0]
    row = {"id": user.id, "name": name, "user_type": sort, "business": business, "tasks": tasks}
    return _to_json(row)


@lru_cache(maxsize=1024)
def assigned_rows(kind: str, host: int, partner: int, shift: int, start: int, end: int) -> str:
    """Return the rows from `start` up to `end`, joined with commas."""
    return ",".join(
        assigned_row(kind, host, partner, place, (place + shift) % _VARIANTS)
        for place in range(start, end)
    )


def shift_of(asset: Name) -> int:
    """Return the shift of an asset. Assets of one shift have the same people and tasks."""
    return asset.place // len(KINDS) % _VARIANTS


def _to_json(row: Mapping[str, object]) -> str:
    return json.dumps(row, separators=(",", ":"))
