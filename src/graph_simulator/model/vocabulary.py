"""Kinds of assets, with their tasks and scopes.

Facts: `docs/reference/graph-facts.md#full-control` and `#permissions`.
"""

from dataclasses import dataclass
from typing import Literal

AssetKind = Literal["ad_account", "page", "product_catalog", "pixel"]

APP_ID = "2965389650414399"
APP_NAME = "Assets Manager"

AD_ACCOUNT: AssetKind = "ad_account"
PAGE: AssetKind = "page"
PRODUCT_CATALOG: AssetKind = "product_catalog"
PIXEL: AssetKind = "pixel"

REQUIRED_SCOPES = (
    "ads_management",
    "business_management",
    "catalog_management",
    "pages_manage_metadata",
    "pages_read_engagement",
    "pages_show_list",
)


@dataclass(frozen=True, slots=True)
class KindFacts:
    """Properties of one kind of asset."""

    node_type: str
    plural: str
    """Plural in the edges `owned_…`, `client_…` and `assigned_…`."""
    scopes: tuple[str, ...]
    """A token needs one of these scopes to see assets of this kind."""
    full_control: tuple[str, ...]
    levels: tuple[tuple[str, ...], ...]
    """Combinations of tasks that a person may have, weakest first."""
    group_field: str
    """Field with the tasks for this kind, in a row of `assigned_business_asset_groups`."""
    contained: str
    """The edge of a business asset group that lists this kind."""


NEW_PAGE_FULL_CONTROL = (
    "PROFILE_PLUS_FULL_CONTROL",
    "PROFILE_PLUS_MANAGE",
    "PROFILE_PLUS_CREATE_CONTENT",
    "PROFILE_PLUS_MODERATE",
    "PROFILE_PLUS_MESSAGING",
    "PROFILE_PLUS_ADVERTISE",
    "PROFILE_PLUS_ANALYZE",
)
NEW_PAGE_LEVELS = (
    ("PROFILE_PLUS_ANALYZE",),
    ("PROFILE_PLUS_ADVERTISE", "PROFILE_PLUS_ANALYZE"),
    ("PROFILE_PLUS_CREATE_CONTENT", "PROFILE_PLUS_MODERATE", "PROFILE_PLUS_ANALYZE"),
    NEW_PAGE_FULL_CONTROL,
)

KINDS: dict[AssetKind, KindFacts] = {
    "ad_account": KindFacts(
        node_type="AdAccount",
        plural="ad_accounts",
        scopes=("ads_management", "ads_read"),
        full_control=("DRAFT", "ANALYZE", "ADVERTISE", "MANAGE"),
        levels=(
            ("ANALYZE",),
            ("DRAFT", "ANALYZE"),
            ("DRAFT", "ANALYZE", "ADVERTISE"),
            ("DRAFT", "ANALYZE", "ADVERTISE", "MANAGE"),
        ),
        group_field="adaccount_tasks",
        contained="contained_adaccounts",
    ),
    "page": KindFacts(
        node_type="Page",
        plural="pages",
        scopes=("pages_show_list",),
        full_control=(
            "MANAGE",
            "CREATE_CONTENT",
            "MODERATE",
            "MESSAGING",
            "ADVERTISE",
            "ANALYZE",
        ),
        levels=(
            ("ANALYZE",),
            ("ADVERTISE", "ANALYZE"),
            ("CREATE_CONTENT", "MODERATE", "MESSAGING", "ADVERTISE", "ANALYZE"),
            ("MANAGE", "CREATE_CONTENT", "MODERATE", "MESSAGING", "ADVERTISE", "ANALYZE"),
        ),
        group_field="page_tasks",
        contained="contained_pages",
    ),
    "product_catalog": KindFacts(
        node_type="ProductCatalog",
        plural="product_catalogs",
        scopes=("catalog_management",),
        full_control=("MANAGE", "ADVERTISE", "AA_ANALYZE"),
        levels=(("AA_ANALYZE",), ("ADVERTISE",), ("MANAGE", "ADVERTISE", "AA_ANALYZE")),
        group_field="product_catalog_tasks",
        contained="contained_product_catalogs",
    ),
    "pixel": KindFacts(
        node_type="AdsPixel",
        plural="pixels",
        scopes=("ads_management", "ads_read"),
        full_control=("EDIT", "ANALYZE", "ADVERTISE", "UPLOAD"),
        levels=(("ANALYZE",), ("ANALYZE", "ADVERTISE"), ("EDIT", "ANALYZE", "ADVERTISE", "UPLOAD")),
        group_field="pixel_tasks",
        contained="contained_pixels",
    ),
}

FULL_CONTROL_TASKS = ("MANAGE", "PROFILE_PLUS_FULL_CONTROL", "PROFILE_PLUS_MANAGE", "EDIT")
