"""Declared reads compared with Meta's own Python SDK, generated from Meta's specification."""

import inspect
from importlib import import_module
from typing import Any

import pytest

from partner_connector.graph import GraphClient, Read, edges


def node(name: str) -> Any:
    """Return a node's class. The SDK has no types, so the class is imported by name."""
    return getattr(import_module(f"facebook_business.adobjects.{name.lower()}"), name)


AdAccount = node("AdAccount")
AdsPixel = node("AdsPixel")
AssignedUser = node("AssignedUser")
Business = node("Business")
BusinessAssetGroup = node("BusinessAssetGroup")
BusinessRoleRequest = node("BusinessRoleRequest")
BusinessUser = node("BusinessUser")
Page = node("Page")
ProductCatalog = node("ProductCatalog")
SystemUser = node("SystemUser")
User = node("User")

SHARES = {
    "adaccount_permissions",
    "page_permissions",
    "productcatalog_permissions",
    "application_permissions",
    "shared_ca_count",
}
TASKS = {"tasks", "permitted_tasks"}
GROUP_TASKS = {"adaccount_tasks", "page_tasks", "pixel_tasks"}

# The read, its start node, the node of its rows, and the fields that the edge adds to that node
# according to Meta's pages. No specification has these fields.
DECLARED: list[tuple[Read, Any, Any, set[str]]] = [
    (edges.agencies("1"), Business, Business, SHARES),
    (edges.clients("1"), Business, Business, SHARES),
    (edges.client_ad_accounts("1"), Business, AdAccount, {"permitted_tasks"}),
    (edges.client_pages("1"), Business, Page, {"permitted_tasks"}),
    (edges.client_product_catalogs("1"), Business, ProductCatalog, {"permitted_roles"}),
    (edges.client_pixels("1"), Business, AdsPixel, {"permitted_tasks"}),
    (edges.owned_ad_accounts("1"), Business, AdAccount, set()),
    (edges.owned_product_catalogs("1"), Business, ProductCatalog, set()),
    (edges.owned_pixels("1"), Business, AdsPixel, set()),
    (edges.asset_agencies("act_1"), AdAccount, Business, set()),
    (edges.asset_agencies("1"), Page, Business, set()),
    (edges.asset_agencies("1"), ProductCatalog, Business, set()),
    (edges.asset_agencies("1"), AdsPixel, Business, set()),
    (edges.assigned_users("act_1", "2"), AdAccount, AssignedUser, {"tasks"}),
    (edges.assigned_users("1", "2"), Page, AssignedUser, {"tasks"}),
    (edges.assigned_users("1", "2"), ProductCatalog, AssignedUser, {"tasks"}),
    (edges.assigned_users("1", "2"), AdsPixel, AssignedUser, {"tasks"}),
    (edges.business_users("1"), Business, BusinessUser, set()),
    (edges.system_users("1"), Business, SystemUser, {"role"}),
    (edges.pending_users("1"), Business, BusinessRoleRequest, set()),
    (edges.assigned_ad_accounts("1"), SystemUser, AdAccount, TASKS),
    (edges.assigned_pages("1"), SystemUser, Page, TASKS),
    (
        edges.assigned_business_asset_groups("1"),
        SystemUser,
        BusinessAssetGroup,
        GROUP_TASKS,
    ),
    (edges.assigned_business_asset_groups("1"), BusinessUser, BusinessAssetGroup, GROUP_TASKS),
    (edges.business_asset_groups("1"), Business, BusinessAssetGroup, set()),
    # The SDK's method for `contained_adaccounts` has another name.
    (edges.group_contents("1", "page"), BusinessAssetGroup, Page, set()),
    (edges.group_contents("1", "product_catalog"), BusinessAssetGroup, ProductCatalog, set()),
    (edges.group_contents("1", "pixel"), BusinessAssetGroup, AdsPixel, set()),
    (edges.group_members("1", "2"), BusinessAssetGroup, AssignedUser, set()),
    (edges.my_businesses(), User, Business, set()),
    (edges.my_permissions(), User, User, set()),
    (edges.my_accounts(), User, Page, {"tasks"}),
]


def names(node: Any) -> set[str]:
    return {value for name, value in vars(node.Field).items() if not name.startswith("_")}


def plain_names(read: Read) -> set[str]:
    return {field.partition("{")[0].partition(".")[0] for field in read.fields}


@pytest.mark.parametrize(
    ("read", "start", "row", "added"), DECLARED, ids=lambda value: getattr(value, "path", "")
)
def test_sdk_has_edge_and_its_fields(read: Read, start: Any, row: Any, added: set[str]) -> None:
    """Avoid unknown fields, because a single one fails the whole read."""
    assert hasattr(start, f"get_{read.edge}")
    assert plain_names(read) - names(row) <= added


@pytest.mark.parametrize("read", [edges.business("1"), edges.partner_apps("1")])
def test_sdk_has_fields_and_edges_of_business(read: Read) -> None:
    """Expect an edge where a name is no field."""
    unknown = plain_names(read) - names(Business)

    assert all(hasattr(Business, f"get_{name}") for name in unknown)


@pytest.mark.parametrize("node", [AdAccount, ProductCatalog, AdsPixel])
def test_sdk_has_agencies_edge_of_asset(node: Any) -> None:
    assert hasattr(node, "get_agencies")


def test_sdk_knows_default_version() -> None:
    newest = import_module("facebook_business.apiconfig").ads_api_config["API_VERSION"]
    ours = inspect.signature(GraphClient).parameters["version"].default

    assert float(ours.removeprefix("v")) <= float(newest.removeprefix("v"))
