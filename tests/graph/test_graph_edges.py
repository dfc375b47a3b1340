"""The declared reads and how they are put together; tasks, roles and scopes."""

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


def test_the_list_above_is_complete() -> None:
    """Every function that declares a read is checked in this module."""
    declared = [
        name
        for name, function in inspect.getmembers(edges, inspect.isfunction)
        if function.__module__ == edges.__name__ and not name.startswith("_")
    ]

    assert len(declared) - 1 == len(ALL)  # all but ad_account_path


@pytest.mark.parametrize("read", ALL, ids=lambda read: read.path)
def test_a_read_is_well_formed(read: Read) -> None:
    """Lists have a page size, braces close, nothing is asked twice, no credential is asked for."""
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
def test_each_declaration_says_where_it_comes_from(name: str, function: object) -> None:
    """A docstring cites a mark of the reference notes, or a section."""
    assert re.search(r"\[[SDO3?]\]|plan|\d+\.\d+", inspect.getdoc(function) or "")


def test_partners_are_read_without_sub_fields_and_with_a_total() -> None:
    """The permission fields have no documented shape, and the total proves completeness."""
    for read in (edges.agencies("1"), edges.clients("1")):
        assert "adaccount_permissions" in read.fields
        assert read.params == {"summary": "total_count"}
    assert edges.plain(edges.clients("1")) == Read(
        "1/clients", ("id", "name"), {"summary": "total_count"}, 100
    )


def test_assigned_users_name_their_business() -> None:
    """`business` is required on every kind of asset (3.2 [S])."""
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
def test_an_ad_account_has_one_path(number: str) -> None:
    """Meta gives the number with and without its prefix."""
    assert ad_account_path(number) == "act_123"


@pytest.mark.parametrize("number", ["", "act_", "12/3", "x", "act_act_1", "1\n", "\u0661"])
def test_what_is_no_account_number_is_refused(number: str) -> None:
    """A path is built from digits only."""
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
def test_a_path_cannot_leave_its_place(path: str) -> None:
    """An id from elsewhere cannot add a parameter, a host or a version."""
    with pytest.raises(ValueError, match="path"):
        Read(path)


@pytest.mark.parametrize(
    "name", ["access_token", "input_token", "method", "ids", "fields", "limit"]
)
def test_some_parameters_are_never_declared(name: str) -> None:
    """Tokens, verbs and dead parameters are refused when a read is made."""
    with pytest.raises(ValueError, match=name):
        Read("me", params={name: "x"})


def test_other_impossible_reads_are_refused() -> None:
    """An invitation link is a credential, and a page has at least one row."""
    with pytest.raises(ValueError, match="invite_link"):
        Read("1/pending_users", ("id", "owner{invite_link}"))
    with pytest.raises(ValueError, match="row"):
        Read("1/pending_users", limit=0)


def test_a_read_is_a_value() -> None:
    """Its variations leave it as it was, and it can be stored as a step's argument."""
    read = edges.agencies("1")
    moved = read.after("A").with_limit(10)

    assert moved.query() == {**read.query(), "after": "A", "limit": "10"}
    assert moved.from_start().with_limit(100) == read
    assert "after" not in read.params
    assert pickle.loads(pickle.dumps(moved)) == moved  # noqa: S301 - our own bytes


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
def test_full_control(asset_type: str, tasks: list[str], roles: list[str], full: bool) -> None:
    """The rule of each kind of asset (3.3), in any spelling; nothing unknown is full control."""
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
def test_roles(role: str | None, found: str) -> None:
    """Two roles matter, every other one is kept apart from a missing one."""
    assert role_class(role) == found


def test_the_six_scopes() -> None:
    """The permissions that the partner's guide asks for."""
    assert len(REQUIRED_SCOPES) == 6
