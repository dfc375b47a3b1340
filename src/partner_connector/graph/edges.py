"""Every edge and node we read, each declared in one place.

Marks name where the fact comes from: [S] Meta's machine-readable spec, [D] its documentation,
[O] observed in real traffic, [3] a third party's code, [?] inferred. Fields added by an edge
stand in the documentation only, and one refused field fails the whole read (8.2 [O]).
"""

import re

from partner_connector.graph.reads import Read

PAGE_SIZE = 100  # used on business edges in the wild; Meta does not publish the maximum (7 [3])
# Limits seen in the wild on business edges: 100, 200, 500 (7 [3]). Only lists of people get long.
_LATER_PAGE_SIZE = 500
# Half a page, since each row brings a page of people along (plan c2).
_EXPANDED_PAGE_SIZE = 50
# A quarter, since each group brings five lists along (plan c4).
_GROUPS_PAGE_SIZE = 25

# The edge of an asset group that lists what it holds, by type of asset. [S] BusinessAssetGroup.json
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
    """`act_` and the number; Meta gives both forms (11.14)."""
    match = _ACCOUNT_NUMBER.fullmatch(number)
    if match is None:
        raise ValueError("an ad account number is digits")
    return f"act_{match[1]}"


# Businesses and who shares with whom.


def business(business_id: str) -> Read:
    """The business itself. [S] Business.json."""
    return Read(business_id, ("id", "name", "verification_status", "link", "created_time"))


def agencies(business_id: str) -> Read:
    """Businesses that may use our assets. [S] Business.json, [D] ref/business/agencies.

    The permission fields are asked for without sub-fields: their inner shape is not documented.
    """
    return Read(f"{business_id}/agencies", _PARTNER_FIELDS, _COUNT, PAGE_SIZE)


def clients(business_id: str) -> Read:
    """Businesses whose assets we may use; rows as in `agencies`. [S], [D] ref/business/clients."""
    return Read(f"{business_id}/clients", _PARTNER_FIELDS, _COUNT, PAGE_SIZE)


def plain(read: Read) -> Read:
    """The same read for `id` and `name` only, for when Meta refuses one of its fields (plan a1)."""
    return Read(read.path, ("id", "name"), read.params, read.limit)


def partner_apps(business_id: str) -> Read:
    """A partner's business with the apps it uses or owns. [S] Business.json; grammar 8.2 [D].

    An expanded edge without rows is left out of the answer: read it with `nested_page`.
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


# Assets that others shared with a business.


def client_ad_accounts(business_id: str, *, with_people: bool = False) -> Read:
    """Ad accounts shared with the business. [S], tasks [D] ref/business/client_ad_accounts.

    An app that does not call it for 30 days loses it, which shows as an empty list ([3]).
    """
    fields = ("id", "account_id", "name", "business{id,name}", "permitted_tasks")
    return _received(business_id, "client_ad_accounts", fields, with_people)


def client_pages(business_id: str) -> Read:
    """Pages shared with the business. [S], tasks [D] ref/business/client_pages.

    Their people cannot be expanded: each Page wants its own token for that (3.2 [D]).
    """
    fields = ("id", "name", "business{id,name}", "permitted_tasks")
    return Read(f"{business_id}/client_pages", fields, limit=PAGE_SIZE)


def client_product_catalogs(business_id: str, *, with_people: bool = False) -> Read:
    """Catalogs shared with the business, with roles instead of tasks.

    [S], roles [D] ref/business/client_product_catalogs.
    """
    fields = ("id", "name", "business{id,name}", "permitted_roles")
    return _received(business_id, "client_product_catalogs", fields, with_people)


def client_pixels(business_id: str, *, with_people: bool = False) -> Read:
    """Pixels shared with the business; a pixel has `owner_business` only. [S] AdsPixel.json."""
    fields = ("id", "name", "owner_business{id,name}", "permitted_tasks")
    return _received(business_id, "client_pixels", fields, with_people)


def _received(business_id: str, edge: str, fields: tuple[str, ...], with_people: bool) -> Read:
    """An edge of shared assets; `with_people` expands who of the business is assigned to each
    (plan c2), which by the grammar of 8.2 [D] should work and was not seen anywhere [?]."""
    if not with_people:
        return Read(f"{business_id}/{edge}", fields, limit=PAGE_SIZE)
    people = (
        f"assigned_users.business({business_id}).limit({PAGE_SIZE}).summary(true)"
        "{id,name,user_type,business{id},tasks}"
    )
    return Read(f"{business_id}/{edge}", (*fields, people), limit=_EXPANDED_PAGE_SIZE)


# Assets that a business owns; `with_agencies` also asks whom each is shared with (plan a2).


def owned_ad_accounts(business_id: str, *, with_agencies: bool = False) -> Read:
    """Ad accounts of the business. [S]; agencies' row fields [D] ref/ad-account/agencies."""
    fields = ("id", "account_id", "name", *([_AGENCIES_WITH_ACCESS] if with_agencies else []))
    return Read(f"{business_id}/owned_ad_accounts", fields, limit=PAGE_SIZE)


def owned_product_catalogs(business_id: str, *, with_agencies: bool = False) -> Read:
    """Catalogs of the business. [S] Business.json, ProductCatalog.json."""
    fields = ("id", "name", "vertical", *([_AGENCIES] if with_agencies else []))
    return Read(f"{business_id}/owned_product_catalogs", fields, limit=PAGE_SIZE)


def owned_pixels(business_id: str, *, with_agencies: bool = False) -> Read:
    """Pixels of the business. [S] Business.json, AdsPixel.json."""
    fields = ("id", "name", *([_AGENCIES] if with_agencies else []))
    return Read(f"{business_id}/owned_pixels", fields, limit=PAGE_SIZE)


# Who may do what on one asset.


def asset_agencies(asset_path: str) -> Read:
    """Partners with access to one asset. [S]; rows [D] ref/ad-account/agencies, [3] for Pages.

    Meta answers with the default fields of each kind of asset, which for ad accounts and Pages
    include `access_status` and `permitted_tasks`; asking a catalog or a pixel for those by name
    may be refused. A Page wants its own Page token (3.1 [D]).
    """
    return Read(f"{asset_path}/agencies", limit=PAGE_SIZE)


def assigned_users(asset_path: str, business_id: str, *, limit: int = PAGE_SIZE) -> Read:
    """People of one business on one asset. [S], [D] ref/ad-account/assigned_users.

    `business` is required. System users are among the rows, and the rows of a partner's business
    are complete where its `business_users` is not (3.4 [O]). A Page wants its own Page token.
    """
    fields = ("id", "name", "user_type", "business{id}", "tasks")
    params = {"business": business_id, **_COUNT}
    return Read(f"{asset_path}/assigned_users", fields, params, limit, _LATER_PAGE_SIZE)


# Asset groups: who is in one reaches what it holds without being assigned to it (3.2 [3]).


def business_asset_groups(business_id: str, *, with_contents: bool = False) -> Read:
    """Asset groups of the business. [S] Business.json.

    `with_contents` expands what each holds and who is in it (plan c4), which by the grammar of 8.2
    [D] should work and was not seen anywhere [?].
    """
    path, named = f"{business_id}/business_asset_groups", ("id", "name")
    if not with_contents:
        return Read(path, named, limit=PAGE_SIZE)
    assets = (f"{edge}.limit({PAGE_SIZE}){{id}}" for edge in CONTAINED.values())
    people = (
        f"assigned_users.business({business_id}).limit({PAGE_SIZE}).summary(true)"
        "{id,name,user_type,business{id}}"
    )
    return Read(path, (*named, *assets, people), limit=_GROUPS_PAGE_SIZE)


def group_contents(group_id: str, asset_type: str) -> Read:
    """What of one type a group holds. [S] BusinessAssetGroup.json."""
    return Read(f"{group_id}/{CONTAINED[asset_type]}", ("id",), limit=PAGE_SIZE)


def group_members(group_id: str, business_id: str) -> Read:
    """People of one business in a group. [S] BusinessAssetGroup.json; `business` is required.

    The count is documented for assets only [?], and no document gives these rows their tasks.
    """
    fields = ("id", "name", "user_type", "business{id}")
    params = {"business": business_id, **_COUNT}
    return Read(f"{group_id}/assigned_users", fields, params, PAGE_SIZE)


def assigned_business_asset_groups(user_id: str) -> Read:
    """Groups that a user is in, with its tasks by type of asset; none are told for catalogs.

    [S] BusinessUser.json, tasks [D] ref/business-user/assigned_business_asset_groups.
    """
    fields = ("id", "adaccount_tasks", "page_tasks", "pixel_tasks")
    return Read(f"{user_id}/assigned_business_asset_groups", fields, limit=PAGE_SIZE)


# The people of a business.


def business_users(business_id: str, *, limit: int = PAGE_SIZE) -> Read:
    """People of the business, with e-mail and role. [S] BusinessUser.json, [D] ref/business-user.

    May be refused or incomplete for a business that has not claimed our app (3.4 [D], [O]).
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
    """System users; no other edge tells their role. [S], [D] ref/business/system_users."""
    fields = ("id", "name", "role")
    return Read(f"{business_id}/system_users", fields, _COUNT, PAGE_SIZE, _LATER_PAGE_SIZE)


def pending_users(business_id: str) -> Read:
    """Invitations not yet accepted. [S] BusinessRoleRequest.json."""
    fields = ("id", "email", "role", "status", "expiration_time")
    return Read(f"{business_id}/pending_users", fields, _COUNT, PAGE_SIZE)


# The assets of one person or system user.


def assigned_ad_accounts(user_id: str) -> Read:
    """Ad accounts assigned to a user. [S] SystemUser.json, tasks [D] ref/business-user."""
    fields = ("id", "account_id", "name", "tasks", "permitted_tasks")
    return Read(f"{user_id}/assigned_ad_accounts", fields, limit=PAGE_SIZE)


def assigned_pages(user_id: str) -> Read:
    """Pages assigned to a user. [S] SystemUser.json, tasks [D] ref/business-user."""
    fields = ("id", "name", "tasks", "permitted_tasks")
    return Read(f"{user_id}/assigned_pages", fields, limit=PAGE_SIZE)


# The token's own view.


def me() -> Read:
    """Who the token is. [S] User.json; for system users [?] 4.2."""
    return Read("me", ("id", "name"))


def my_businesses() -> Read:
    """Businesses of the token's user. [S] User.json."""
    return Read("me/businesses", ("id", "name"), limit=PAGE_SIZE)


def my_permissions() -> Read:
    """Scopes the token's user granted, each with a status. [S] Permission.json."""
    return Read("me/permissions")


def my_accounts() -> Read:
    """Pages with their Page tokens: each row's `access_token` is a secret. [D] pages-api."""
    return Read("me/accounts", ("id", "access_token", "tasks"), limit=PAGE_SIZE)


def token_app() -> Read:
    """The app that issued the token, for when its secret is not known. [3] 4.2."""
    return Read("app", ("id", "name"))
