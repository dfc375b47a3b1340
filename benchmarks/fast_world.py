"""The world of the fast Graph server: ids that can be computed, and the rows of every edge.

Everything follows from the sizes, so that a million grants need no memory here and any part of them
can be told at once. All partners are agencies, which get ad accounts, pages, catalogs and pixels of
ours in turn. Every person of a partner is assigned to every shared asset.
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
# What somebody may do, by kind; the first is full control, and assets differ in who has which.
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
    """Of one host business: how many partners, and what each of them has."""

    partners: int
    assets: int
    users: int

    @property
    def grants(self) -> int:
        """Of one partner; its own system user has one on each asset, too."""
        return self.assets * (self.users + 1)


@dataclass(frozen=True, slots=True)
class Name:
    """What an id of this world says: its kind, its host, and its places; partner 0 is the host."""

    kind: str
    host: int
    partner: int
    place: int = 0

    @property
    def id(self) -> str:
        """Digits, as Meta's ids are."""
        return f"{_DIGITS[self.kind]}{self.host:02}{self.partner:05}{self.place:06}"


_DIGITS = {"business": 10, "user": 12, "system_user": 61, "ad_account": 21, "page": 22}
_DIGITS |= {"product_catalog": 23, "pixel": 24}
_KIND_OF_DIGITS = {digits: kind for kind, digits in _DIGITS.items()}


def named(text: str) -> Name:
    """Take an id apart. Raises `ValueError` or `KeyError` for one that is not of this world."""
    digits = text.removeprefix("act_")
    kind = _KIND_OF_DIGITS[int(digits[:2])]
    return Name(kind, int(digits[2:4]), int(digits[4:9]), int(digits[9:15]))


def token_of(name: Name) -> str:
    """The access token of a business's system user, or of a page."""
    return f"EAAbench{name.id}"


def owner_of(token: str) -> Name:
    """Whose token it is: a business or a page."""
    return named(token.removeprefix("EAAbench"))


def kind_at(place: int) -> str:
    """The kinds come in turn."""
    return KINDS[place % len(KINDS)]


def asset_at(host: int, partner: int, place: int) -> Name:
    """A shared asset by its place among all of the partner's."""
    return Name(kind_at(place), host, partner, place)


def partner_at(host: int, place: int) -> Name:
    """A partner of this host; they are counted from one."""
    return Name("business", host, place)


def user_of(business: Name, place: int) -> Name:
    """One of its people; they are counted from one."""
    return Name("user", business.host, business.partner, place)


def system_user_of(business: Name) -> Name:
    """The one whose token the business hands over."""
    return Name("system_user", business.host, business.partner)


def business_row(business: Name) -> str:
    """A partner in `agencies`."""
    return _spell({"id": business.id, "name": f"Agency {business.partner:05}"})


def person_row(user: Name) -> str:
    """Somebody in `business_users`."""
    place = user.place
    return _spell(
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
    """The business's one system user."""
    user = system_user_of(business)
    return _spell({"id": user.id, "name": "Agency connector", "role": "ADMIN"})


def asset_fields(asset: Name) -> dict[str, object]:
    """A shared asset as the lists of shared assets tell it."""
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
    """Somebody in `assigned_users`; place 0 is the system user, who has full control."""
    if place:
        user, name, sort = Name("user", host, partner, place), f"Jaya Juniper the {place}th", "USER"
    else:
        user, name, sort = Name("system_user", host, partner), "Agency connector", "SYSTEM_USER"
    business = {"id": Name("business", host, partner).id, "name": f"Agency {partner:05}"}
    tasks = _TASKS[kind][variant if place else 0]
    row = {"id": user.id, "name": name, "user_type": sort, "business": business, "tasks": tasks}
    return _spell(row)


@lru_cache(maxsize=1024)
def assigned_rows(kind: str, host: int, partner: int, shift: int, start: int, end: int) -> str:
    """The rows from `start` up to `end`, joined."""
    return ",".join(
        assigned_row(kind, host, partner, place, (place + shift) % _VARIANTS)
        for place in range(start, end)
    )


def shift_of(asset: Name) -> int:
    """Assets of one shift have the same people with the same tasks."""
    return asset.place // len(KINDS) % _VARIANTS


def _spell(row: Mapping[str, object]) -> str:
    return json.dumps(row, separators=(",", ":"))
