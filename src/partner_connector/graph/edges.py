"""Declarations of every edge and node that the client reads.

Facts about Meta, with their sources, are on the page `docs/reference/graph-facts.md`, named here as
`#…`. One refused field fails the whole read (#field-expansion).
"""

import re

from partner_connector.graph.reads import Read

# Meta does not publish the maximum; others use 100, 200 and 500 on business edges (#paging).
PAGE_SIZE = 100
# For lists of people, the only ones that get long.
_LATER_PAGE_SIZE = 500
# Half a page: each row also holds a page of people (#plan-people).
_EXPANDED_PAGE_SIZE = 50
# A quarter: each group also holds five lists (#plan-people).
_GROUPS_PAGE_SIZE = 25

# Edge of an asset group that lists its assets, by asset type (#asset-groups).
CONTAINED = {
    "ad_account": "contained_adaccounts",
    "page": "contained_pages",
    "product_catalog": "contained_product_catalogs",
    "pixel": "contained_pixels",
}

_COUNT = {"summary": "total_count"}
_ACCOUNT_NUMBER = re.compile(r"(?:act_)?(\d+)", re.ASCII)
_PARTNER_FIELDS = (
    "id",
    "name",
    "verification_status",
    "created_time",
    "link",
    "primary_page{id,name}",
    "adaccount_permissions",
    "page_permissions",
    "productcatalog_permissions",
    "application_permissions",
    "shared_ca_count",
)
_ACCESS_FIELDS = (
    "access_status",
    "permitted_tasks",
    "access_requested_time",
    "access_updated_time",
)
_AGENCIES_WITH_ACCESS = f"agencies.limit(100){{id,name,{','.join(_ACCESS_FIELDS)}}}"
_AGENCIES = "agencies.limit(100){id,name}"


def ad_account_path(number: str) -> str:
    """Return `act_` and the number; Meta uses both (#simulator). Raise `ValueError` otherwise."""
    match = _ACCOUNT_NUMBER.fullmatch(number)
    if match is None:
        raise ValueError("an ad account number is digits")
    return f"act_{match[1]}"


# Businesses and their partners.


def business(business_id: str) -> Read:
    """Return the read of a business itself (#business)."""
    return Read(business_id, ("id", "name", "verification_status", "link", "created_time"))


def agencies(business_id: str) -> Read:
    """Return the read of the businesses that may use this business's assets (#partner-lists).

    The permission fields are read without sub-fields: Meta does not document their inner shape.
    """
    return Read(f"{business_id}/agencies", _PARTNER_FIELDS, _COUNT, PAGE_SIZE)


def clients(business_id: str) -> Read:
    """Return the read of the businesses whose assets this business may use (#partner-lists)."""
    return Read(f"{business_id}/clients", _PARTNER_FIELDS, _COUNT, PAGE_SIZE)


def plain(read: Read) -> Read:
    """Return the read with `id` and `name` only, for when Meta refuses a field (#plan-partners)."""
    return Read(read.path, ("id", "name"), read.params, read.limit)


def partner_apps(business_id: str) -> Read:
    """Return the read of a partner's business with the apps that it uses or owns (#business).

    Meta leaves out an expanded edge without rows (#field-expansion): read it with `nested_page`.
    """
    return Read(
        business_id,
        (
            "id",
            "name",
            "verification_status",
            "client_apps.limit(100){id}",
            "owned_apps.limit(100){id}",
        ),
    )


# Assets that other businesses share with a business.


def client_ad_accounts(business_id: str, *, with_people: bool = False) -> Read:
    """Return the read of the ad accounts shared with the business (#asset-lists).

    An app that does not call this edge for 30 days loses access to it and gets an empty list.
    """
    fields = ("id", "account_id", "name", "business{id,name}", "permitted_tasks")
    return _shared_assets(business_id, "client_ad_accounts", fields, with_people)


def client_pages(business_id: str) -> Read:
    """Return the read of the Pages shared with the business (#asset-lists).

    Their people cannot be expanded: that needs a Page token for each Page (#assigned-users).
    """
    fields = ("id", "name", "business{id,name}", "permitted_tasks")
    return Read(f"{business_id}/client_pages", fields, limit=PAGE_SIZE)


def client_product_catalogs(business_id: str, *, with_people: bool = False) -> Read:
    """Return the read of the shared catalogs, which have roles, not tasks (#asset-lists)."""
    fields = ("id", "name", "business{id,name}", "permitted_roles")
    return _shared_assets(business_id, "client_product_catalogs", fields, with_people)


def client_pixels(business_id: str, *, with_people: bool = False) -> Read:
    """Return the read of the shared pixels, which have no `business` field (#asset-lists)."""
    fields = ("id", "name", "owner_business{id,name}", "permitted_tasks")
    return _shared_assets(business_id, "client_pixels", fields, with_people)


def _shared_assets(business_id: str, edge: str, fields: tuple[str, ...], with_people: bool) -> Read:
    """Return the read of an edge of shared assets.

    `with_people` also expands the business's users on each asset (#plan-people). Meta's grammar
    allows that, but no use of it was found (#field-expansion).
    """
    if not with_people:
        return Read(f"{business_id}/{edge}", fields, limit=PAGE_SIZE)
    people = (
        f"assigned_users.business({business_id}).limit({PAGE_SIZE}).summary(true)"
        "{id,name,user_type,business{id},tasks}"
    )
    return Read(f"{business_id}/{edge}", (*fields, people), limit=_EXPANDED_PAGE_SIZE)


# Assets that a business owns. `with_agencies` also expands the partners of each (#plan-partners).


def owned_ad_accounts(business_id: str, *, with_agencies: bool = False) -> Read:
    """Return the read of the business's own ad accounts (#asset-lists, #asset-agencies)."""
    fields = ("id", "account_id", "name", *([_AGENCIES_WITH_ACCESS] if with_agencies else []))
    return Read(f"{business_id}/owned_ad_accounts", fields, limit=PAGE_SIZE)


def owned_product_catalogs(business_id: str, *, with_agencies: bool = False) -> Read:
    """Return the read of the business's own catalogs (#asset-lists)."""
    fields = ("id", "name", "vertical", *([_AGENCIES] if with_agencies else []))
    return Read(f"{business_id}/owned_product_catalogs", fields, limit=PAGE_SIZE)


def owned_pixels(business_id: str, *, with_agencies: bool = False) -> Read:
    """Return the read of the business's own pixels (#asset-lists)."""
    fields = ("id", "name", *([_AGENCIES] if with_agencies else []))
    return Read(f"{business_id}/owned_pixels", fields, limit=PAGE_SIZE)


# Partners and users with access to one asset.


def asset_agencies(asset_path: str) -> Read:
    """Return the read of the partners with access to one asset (#asset-agencies).

    It names no fields, so Meta returns the default fields of the asset's type. For ad accounts and
    Pages these include `access_status` and `permitted_tasks`, which Meta may refuse when they are
    named for a catalog or a pixel. A Page needs its own Page token.
    """
    return Read(f"{asset_path}/agencies", limit=PAGE_SIZE)


def assigned_users(asset_path: str, business_id: str, *, limit: int = PAGE_SIZE) -> Read:
    """Return the read of one business's users on one asset (#assigned-users).

    `business` is required. The rows include system users. For a partner's business they are
    complete even where its `business_users` are not (#business-users). A Page needs its own Page
    token.
    """
    fields = ("id", "name", "user_type", "business{id}", "tasks")
    params = {"business": business_id, **_COUNT}
    return Read(f"{asset_path}/assigned_users", fields, params, limit, _LATER_PAGE_SIZE)


# Asset groups: a member has access to the group's assets without being assigned to each of them.


def business_asset_groups(business_id: str, *, with_contents: bool = False) -> Read:
    """Return the read of the business's asset groups (#asset-groups).

    `with_contents` also expands the assets and members of each group (#plan-people). Meta's grammar
    allows that, but no use of it was found (#field-expansion).
    """
    path, fields = f"{business_id}/business_asset_groups", ("id", "name")
    if not with_contents:
        return Read(path, fields, limit=PAGE_SIZE)
    assets = (f"{edge}.limit({PAGE_SIZE}){{id}}" for edge in CONTAINED.values())
    people = (
        f"assigned_users.business({business_id}).limit({PAGE_SIZE}).summary(true)"
        "{id,name,user_type,business{id}}"
    )
    return Read(path, (*fields, *assets, people), limit=_GROUPS_PAGE_SIZE)


def group_contents(group_id: str, asset_type: str) -> Read:
    """Return the read of a group's assets of one type (#asset-groups)."""
    return Read(f"{group_id}/{CONTAINED[asset_type]}", ("id",), limit=PAGE_SIZE)


def group_members(group_id: str, business_id: str) -> Read:
    """Return the read of one business's users in a group (#asset-groups).

    `business` is required. Meta documents the total count for assets only, and documents no tasks
    in these rows.
    """
    fields = ("id", "name", "user_type", "business{id}")
    params = {"business": business_id, **_COUNT}
    return Read(f"{group_id}/assigned_users", fields, params, PAGE_SIZE)


def assigned_business_asset_groups(user_id: str) -> Read:
    """Return the read of a user's groups, with tasks except for catalogs (#asset-groups)."""
    fields = ("id", "adaccount_tasks", "page_tasks", "pixel_tasks")
    return Read(f"{user_id}/assigned_business_asset_groups", fields, limit=PAGE_SIZE)


# The people of a business.


def business_users(business_id: str, *, limit: int = PAGE_SIZE) -> Read:
    """Return the read of the business's people, with e-mail address and role (#business-users).

    Meta may refuse it or return an incomplete list if the business has not claimed our app.
    """
    fields = (
        "id",
        "name",
        "first_name",
        "last_name",
        "email",
        "pending_email",
        "title",
        "role",
        "two_fac_status",
        "finance_permission",
    )
    return Read(f"{business_id}/business_users", fields, _COUNT, limit, _LATER_PAGE_SIZE)


def system_users(business_id: str) -> Read:
    """Return the read of the system users, the only edge with their roles (#system-user-roles)."""
    fields = ("id", "name", "role")
    return Read(f"{business_id}/system_users", fields, _COUNT, PAGE_SIZE, _LATER_PAGE_SIZE)


def pending_users(business_id: str) -> Read:
    """Return the read of the pending invites (#pending-users)."""
    fields = ("id", "email", "role", "status", "expiration_time")
    return Read(f"{business_id}/pending_users", fields, _COUNT, PAGE_SIZE)


# The assets of one person or system user.


def assigned_ad_accounts(user_id: str) -> Read:
    """Return the read of the ad accounts assigned to a user (#assigned-users)."""
    fields = ("id", "account_id", "name", "tasks", "permitted_tasks")
    return Read(f"{user_id}/assigned_ad_accounts", fields, limit=PAGE_SIZE)


def assigned_pages(user_id: str) -> Read:
    """Return the read of the Pages assigned to a user (#assigned-users)."""
    fields = ("id", "name", "tasks", "permitted_tasks")
    return Read(f"{user_id}/assigned_pages", fields, limit=PAGE_SIZE)


# The token's owner.


def me() -> Read:
    """Return the read of the token's owner; for system users see #token-owner."""
    return Read("me", ("id", "name"))


def my_businesses() -> Read:
    """Return the read of the businesses of the token's owner (#token-owner)."""
    return Read("me/businesses", ("id", "name"), limit=PAGE_SIZE)


def my_permissions() -> Read:
    """Return the read of the scopes that the token's owner granted, with status (#permissions)."""
    return Read("me/permissions")


def my_accounts() -> Read:
    """Return the read of the owner's Pages with Page tokens, which are secret (#assigned-users)."""
    return Read("me/accounts", ("id", "access_token", "tasks"), limit=PAGE_SIZE)


def token_app() -> Read:
    """Return the read of the token's app, for when its secret is not known (#token-owner)."""
    return Read("app", ("id", "name"))
