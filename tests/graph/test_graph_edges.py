"""Declared reads and their construction; tasks, roles and scopes."""

import inspect
import pickle
import re

import pytest

from partner_connector.graph import (
    REQUIRED_SCOPES,
    Read,
    ad_account_path,
    edges,
    full_control,
    role_class,
)

ALL = [
    edges.business("1"),
    edges.agencies("1"),
    edges.clients("1"),
    edges.plain(edges.agencies("1")),
    edges.partner_apps("1"),
    edges.client_ad_accounts("1"),
    edges.client_pages("1"),
    edges.client_product_catalogs("1"),
    edges.client_pixels("1"),
    edges.owned_ad_accounts("1", with_agencies=True),
    edges.owned_product_catalogs("1", with_agencies=True),
    edges.owned_pixels("1", with_agencies=True),
    edges.asset_agencies("act_1"),
    edges.assigned_users("act_1", "2"),
    edges.business_users("1"),
    edges.system_users("1"),
    edges.pending_users("1"),
    edges.assigned_ad_accounts("1"),
    edges.assigned_pages("1"),
    edges.business_asset_groups("1"),
    edges.group_contents("1", "ad_account"),
    edges.group_members("1", "2"),
    edges.assigned_business_asset_groups("1"),
    edges.me(),
    edges.my_businesses(),
    edges.my_permissions(),
    edges.my_accounts(),
    edges.token_app(),
]


def test_every_declared_read_is_checked_here() -> None:
    declared = [
        name
        for name, function in inspect.getmembers(edges, inspect.isfunction)
        if function.__module__ == edges.__name__ and not name.startswith("_")
    ]

    assert len(declared) - 1 == len(ALL)  # all but ad_account_path


@pytest.mark.parametrize("read", ALL, ids=lambda read: read.path)
def test_read_is_well_formed(read: Read) -> None:
    """Check page sizes, braces and duplicate fields, and that no credential is requested."""
    fields = ",".join(read.fields)
    is_list = "/" in read.path and read.path != "me/permissions"

    assert read.limit == (100 if is_list else None)
    assert fields.count("{") == fields.count("}")
    assert len(set(read.fields)) == len(read.fields)
    assert "invite_link" not in fields
    assert ("access_token" in fields) is (read.path == "me/accounts")


@pytest.mark.parametrize(
    ("name", "function"),
    [
        member
        for member in inspect.getmembers(edges, inspect.isfunction)
        if member[1].__module__ == edges.__name__ and not member[0].startswith("_")
    ],
)
def test_each_declared_read_cites_its_source(name: str, function: object) -> None:
    assert re.search(r"#[a-z]+(-[a-z]+)*", inspect.getdoc(function) or "")


def test_partners_are_read_without_sub_fields_and_with_total() -> None:
    """Avoid sub-fields, whose shape is undocumented, and ask for the total, which shows
    completeness.
    """
    for read in (edges.agencies("1"), edges.clients("1")):
        assert "adaccount_permissions" in read.fields
        assert read.params == {"summary": "total_count"}
    assert edges.plain(edges.clients("1")) == Read(
        "1/clients", ("id", "name"), {"summary": "total_count"}, 100
    )


def test_assigned_users_name_their_business() -> None:
    """Send `business`, which Meta requires for every kind of asset
    (`docs/reference/graph-facts.md#assigned-users`).
    """
    read = edges.assigned_users("act_1", "2", limit=50)

    assert read == Read(
        "act_1/assigned_users",
        ("id", "name", "user_type", "business{id}", "tasks"),
        {"business": "2", "summary": "total_count"},
        50,
        500,
    )
    assert read.edge == "assigned_users"


@pytest.mark.parametrize("number", ["123", "act_123"])
def test_ad_account_path_has_prefix(number: str) -> None:
    """Accept the number with and without its prefix, as Meta sends both."""
    assert ad_account_path(number) == "act_123"


@pytest.mark.parametrize("number", ["", "act_", "12/3", "x", "act_act_1", "1\n", "\u0661"])
def test_invalid_ad_account_number_is_refused(number: str) -> None:
    with pytest.raises(ValueError, match="digits"):
        ad_account_path(number)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/me",
        "me/",
        "a//b",
        "../x",
        "me?fields=id",
        "me#x",
        "v26.0/me",
        "v26",
        "a b",
        "https://x",
        "é",
    ],
)
def test_unsafe_path_is_refused(path: str) -> None:
    """Prevent an id from adding a parameter, a host or a version."""
    with pytest.raises(ValueError, match="path"):
        Read(path)


@pytest.mark.parametrize(
    "name", ["access_token", "input_token", "method", "ids", "fields", "limit"]
)
def test_forbidden_parameter_is_refused(name: str) -> None:
    """Refuse tokens, verbs and removed parameters when a read is created."""
    with pytest.raises(ValueError, match=name):
        Read("me", params={name: "x"})


def test_invite_link_and_page_size_zero_are_refused() -> None:
    """Refuse an invitation link, because it is a credential."""
    with pytest.raises(ValueError, match="invite_link"):
        Read("1/pending_users", ("id", "owner{invite_link}"))
    with pytest.raises(ValueError, match="row"):
        Read("1/pending_users", limit=0)


def test_read_is_immutable_and_can_be_pickled() -> None:
    """Check that a step can store a read as its argument."""
    read = edges.agencies("1")
    moved = read.after("A").with_limit(10)

    assert moved.query() == {**read.query(), "after": "A", "limit": "10"}
    assert moved.from_start().with_limit(100) == read
    assert "after" not in read.params
    assert pickle.loads(pickle.dumps(moved)) == moved  # noqa: S301 - bytes of this test


@pytest.mark.parametrize(
    ("asset_type", "tasks", "roles", "full"),
    [
        ("ad_account", ["DRAFT", "ANALYZE", "ADVERTISE", "MANAGE"], [], True),
        ("ad_account", ["DRAFT", "ANALYZE", "ADVERTISE"], [], False),
        ("ad_account", [], ["ADMIN"], False),
        ("page", ["MANAGE"], [], True),
        ("page", ["PROFILE_PLUS_FULL_CONTROL"], [], True),
        ("page", ["PROFILE_PLUS_MANAGE"], [], True),
        ("page", ["PROFILE_PLUS_ADVERTISE", "MANAGE_LEADS"], [], False),
        ("product_catalog", ["MANAGE"], [], True),
        ("product_catalog", ["MANAGE_AR"], ["ADVERTISER"], False),
        ("product_catalog", [], ["ADMIN"], True),
        ("product_catalog", [], ["admin"], True),
        ("pixel", ["EDIT"], [], True),
        ("pixel", ["MANAGE"], [], False),
        ("pixel", ["manage", "edit"], [], True),
        ("ad_account", ["SOMETHING_NEW"], [], False),
        ("something_new", ["MANAGE"], ["ADMIN"], False),
    ],
)
def test_full_control_follows_rule_of_asset_type(
    asset_type: str, tasks: list[str], roles: list[str], full: bool
) -> None:
    """Accept any spelling, and never treat unknown tasks as full control
    (`docs/reference/graph-facts.md#full-control`).
    """
    assert full_control(asset_type, tasks, roles) is full


@pytest.mark.parametrize(
    ("role", "found"),
    [
        ("ADMIN", "admin"),
        ("Admin", "admin"),
        ("EMPLOYEE", "employee"),
        ("Employee", "employee"),
        ("FINANCE_EDITOR", "other"),
        ("PARTNER_CENTER_ADMIN", "other"),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
def test_role_class(role: str | None, found: str) -> None:
    """Keep other roles apart from a missing role."""
    assert role_class(role) == found


def test_there_are_six_required_scopes() -> None:
    assert len(REQUIRED_SCOPES) == 6
