"""Tests of `published.json`: its format, and that the simulator serves nothing else.

A mark such as `#open-permission-rows` is a heading of `docs/reference/graph-facts.md`.
"""

from collections.abc import Iterator
from importlib.resources import files
from typing import Any

from graph_simulator.graph.business_types import PERMISSION_ROWS
from graph_simulator.graph.reader import NODE_TYPES, PERMISSION_ROW_FIELDS
from graph_simulator.published.types import PATHS, PUBLISHED, TYPES

# What the simulator serves


def served() -> Iterator[tuple[str, str]]:
    """Yield every field, edge and row field of the simulator, as (place, name)."""
    for node_type in NODE_TYPES.values():
        for name in {*node_type.fields, *node_type.valueless}:
            yield node_type.name, name
        for name, edge in node_type.edges.items():
            yield f"{node_type.name}/", name
            for added in edge.fields:
                yield f"{node_type.name}/{name}", added
    for field in PERMISSION_ROWS:
        for inside in PERMISSION_ROW_FIELDS:
            yield field, inside


def is_published(where: str, name: str) -> bool:
    if where in PERMISSION_ROWS:
        return name in TYPES[TYPES["Business"].edges["agencies"].row_fields[where]].fields
    owner, slash, edge_name = where.partition("/")
    if not slash:
        return name in TYPES[owner].fields
    if not edge_name:
        return name in TYPES[owner].edges
    edge = TYPES[owner].edges.get(edge_name)
    return edge is not None and (name in edge.row_fields or name in TYPES[edge.rows].fields)


SHARE_ROWS = ("access_requested_time", "access_status", "access_updated_time", "permitted_tasks")
GROUP_ROWS = (
    "adaccount_tasks",
    "offline_conversion_data_set_tasks",
    "page_tasks",
    "pixel_tasks",
    "product_catalog_tasks",
)
EXTRAS: dict[str, tuple[str, tuple[str, ...]]] = {
    "ProductCatalog/agencies": ("rows as for ad accounts; no page describes them", SHARE_ROWS),
    "AdsPixel/agencies": ("rows as for ad accounts; no page describes them", SHARE_ROWS),
    "BusinessAssetGroup/assigned_users": ("as on every other asset", ("tasks",)),
    "BusinessUser/assigned_product_catalogs": (
        "behind the switch tasks_on_assigned_catalogs",
        ("permitted_tasks", "tasks"),
    ),
    "SystemUser/assigned_product_catalogs": (
        "behind the switch tasks_on_assigned_catalogs",
        ("permitted_tasks", "tasks"),
    ),
    "BusinessUser/assigned_business_asset_groups": (
        "catalogs are in groups too, so their tasks need a place",
        ("product_catalog_tasks",),
    ),
    "SystemUser/assigned_business_asset_groups": (
        "catalogs are in groups too, so their tasks need a place",
        ("product_catalog_tasks",),
    ),
    "SystemUser/": (
        "`me` of a system user's token, where Meta publishes them on User",
        ("accounts", "businesses", "permissions"),
    ),
    "SystemUser/accounts": ("as on User", ("tasks",)),
    "SystemUser/businesses": ("seen in working code", ("permitted_roles",)),
    "User/businesses": ("seen in working code", ("permitted_roles",)),
    "User/": ("as on BusinessUser and SystemUser", ("assigned_ads_pixels",)),
    "User/assigned_ad_accounts": ("as on BusinessUser", ("permitted_tasks", "tasks")),
    "User/assigned_ads_pixels": ("as on BusinessUser", ("permitted_tasks", "tasks")),
    "User/assigned_business_asset_groups": ("as on BusinessUser", GROUP_ROWS),
    "User/assigned_pages": ("as on BusinessUser", ("permitted_tasks", "tasks")),
    "User/assigned_product_catalogs": (
        "as on BusinessUser",
        ("access_type", "permitted_tasks", "tasks"),
    ),
    "adaccount_permissions": (
        "#open-permission-rows: the fields inside are not published",
        ("permitted_tasks",),
    ),
    "page_permissions": (
        "#open-permission-rows: the fields inside are not published",
        PERMISSION_ROW_FIELDS,
    ),
    "productcatalog_permissions": (
        "#open-permission-rows: the fields inside are not published",
        PERMISSION_ROW_FIELDS,
    ),
}
"""Everything that the simulator serves beyond `published.json`, with the reason."""


def test_simulator_serves_published_names_and_listed_extras_only() -> None:
    """Compare in both directions, so that no extra is missing or unused."""
    beyond = {(where, name) for where, name in served() if not is_published(where, name)}
    assert beyond == {(where, name) for where, (_, names) in EXTRAS.items() for name in names}


def test_edges_have_published_rows_and_required_parameters() -> None:
    """Compare rows, required parameters, and types of fields."""
    for node_type in NODE_TYPES.values():
        known = TYPES[node_type.name]
        for name, edge in node_type.edges.items():
            if name in known.edges:
                assert known.edges[name].rows == edge.target, (node_type.name, name)
                assert known.edges[name].required == set(edge.required), (node_type.name, name)
        for name, inside in node_type.refs.items():
            if name in node_type.fields:
                assert known.fields[name] in (inside, "Object"), (node_type.name, name)


# The file itself


def test_file_is_in_the_package_and_sorted() -> None:
    """Expect sorted lists, in which a person finds a name."""
    assert files("graph_simulator.published").joinpath("published.json").is_file()
    assert list(PUBLISHED["types"]) == sorted(PUBLISHED["types"])
    for entry in PUBLISHED["types"].values():
        for listed in ("fields", "edges", "other_edges"):
            names = [text.partition(":")[0].partition("(")[0] for text in entry.get(listed, ())]
            assert names == sorted(set(names))
        assert not set(entry.get("other_edges", ())) & set(entry.get("row_fields", ()))


def test_every_source_is_known() -> None:
    """Check the sources of all names that are not from Meta's specification."""
    sources = list(marks(PUBLISHED))
    assert len(sources) > 30
    for mark in sources:
        assert mark.startswith(tuple(PUBLISHED["sources"])), mark


def marks(entry: Any) -> Iterator[str]:
    if isinstance(entry, dict):
        for key, value in entry.items():
            if key == "sources":
                continue
            if key == "source":
                yield value
            elif key.startswith("["):
                yield key
            yield from marks(value)


def test_row_fields_belong_to_described_edges() -> None:
    """Row fields of another edge would have no effect."""
    for name, entry in PUBLISHED["types"].items():
        for edge in entry.get("row_fields", ()):
            assert TYPES[name].edges[edge].rows, (name, edge)


def test_special_paths_have_described_types() -> None:
    """Expect all types of token owners for `me`."""
    assert set(PATHS) == {"app", "debug_token", "me"}
    assert {one.itself.name for one in PATHS["me"]} == {"Page", "SystemUser", "User"}
