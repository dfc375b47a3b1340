"""Tests of the module `published`: complaints about reads, without values."""

import json
import subprocess
import sys
from typing import Any

import pytest

from graph_simulator import published

SECRETS = (
    "EAAD11Z284Fb97zUVlpIcxl2cCf7F7hZphYAZze73Ri0b8bNKrG3nRAawD5Wkb9hgCyHVSC84BtIeG1LVSfHxMcZ5",
    "2965389650414399|0f1e2d3c4b5a69788796a5b4c3d2e1f0",
    "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
    "100000011834934",
    "jaya.juniper@example.com",
)


# Published reads


@pytest.mark.parametrize(
    ("node", "edge", "params"),
    [
        ("Business", None, {"fields": "id,name,verification_status,link,created_time"}),
        ("Business", "agencies", {"fields": "id,primary_page{id,name},adaccount_permissions"}),
        ("Business", "clients", {"summary": "total_count", "limit": "100", "after": "x"}),
        ("Business", "client_product_catalogs", {"fields": "id,business{id},permitted_roles"}),
        ("Business", "business_users", {"fields": '["id","role"]', "before": "x"}),
        ("Business", "system_users", {"fields": "id,name,role"}),
        ("Business", "pending_users", {"email": "x", "fields": "id,status"}),
        ("Business", None, {"fields": "client_apps.limit(100){id},owned_apps{id}"}),
        ("Business", None, {"fields": "ad_studies{whatever}"}),
        ("AdAccount", "agencies", {"fields": "id,access_status,permitted_tasks"}),
        ("AdAccount", "campaigns", {"whatever": "1", "fields": "id,daily_budget"}),
        ("AdAccount", "assigned_users", {"business": "1", "fields": "tasks,business{id,name}"}),
        (
            "Business",
            "client_pixels",
            {"fields": "id,assigned_users.business(1).limit(5).summary(true){id,tasks}"},
        ),
        ("me", None, {"fields": "id,name"}),
        ("me", "permissions", {"status": "granted"}),
        ("me", "accounts", {"fields": "id,access_token,tasks"}),
        ("me", "assigned_ads_pixels", {"fields": "id,tasks"}),
        ("app", None, {"fields": "id,name"}),
        ("debug_token", None, {"input_token": "x", "fields": "app_id,granular_scopes{scope}"}),
        ("SystemUser", "assigned_business_asset_groups", {"contained_asset_id": "1"}),
        (None, "agencies", {"fields": "id,access_status"}),
        (None, "assigned_users", {"business": "1", "fields": "id,tasks"}),
        (None, "assigned_product_catalogs", {"fields": "id,vertical"}),
        (None, None, {"fields": "id,two_fac_status"}),
        (None, None, {}),
    ],
)
def test_published_read_has_no_complaint(
    node: str | None, edge: str | None, params: dict[str, str]
) -> None:
    """Read fields, edges and expansions, by type, by special path and without a type."""
    always = {"access_token": "t", "appsecret_proof": "p", "appsecret_time": "1"}
    assert published.outside(node, edge, params | always) == []


# Other reads


@pytest.mark.parametrize(
    ("node", "edge", "params", "complaint"),
    [
        ("AdAccount", None, {"fields": "id,nme"}, "AdAccount has no field nme"),
        ("Business", "foo", {}, "Business has no edge foo"),
        (None, "foo", {}, "no node has an edge foo"),
        ("Business", "assigned_users", {"business": "1"}, "Business has no edge assigned_users"),
        ("me", "agencies_", {}, "me has no edge agencies_"),
        ("AdAccount", "assigned_users", {}, "assigned_users lacks business"),
        ("AdAccount", "assigned_users", {"business": ""}, "assigned_users lacks business"),
        (
            "Page",
            "assigned_users",
            {"business": "1", "busines": "1"},
            "assigned_users takes no parameter busines",
        ),
        ("Business", None, {"email": "x"}, "Business takes no parameter email"),
        ("Business", "agencies", {"fields": "id,tasks"}, "Business has no field tasks"),
        ("Business", "agencies", {"ids": "1,2"}, "agencies takes no parameter ids"),
        ("Business", "agencies", {"metadata": "1"}, "agencies takes no parameter metadata"),
        ("SystemUser", None, {"fields": "id,role"}, "SystemUser has no field role"),
        ("AdsPixel", None, {"fields": "business{id}"}, "AdsPixel has no field business"),
        (
            "BusinessUser",
            "assigned_product_catalogs",
            {"fields": "id,tasks"},
            "ProductCatalog has no field tasks",
        ),
        (
            "Business",
            "agencies",
            {"fields": "page_permissions{id}"},
            "PagePermission has no field id",
        ),
        ("Business", None, {"fields": "primary_page{nme}"}, "Page has no field nme"),
        ("Business", None, {"fields": "name{x}"}, "name of Business has nothing inside"),
        ("Business", None, {"fields": "name.limit(1)"}, "name takes no parameter limit"),
        (
            "Business",
            "client_pages",
            {"fields": "id,assigned_users{id}"},
            "assigned_users lacks business",
        ),
        (
            "Business",
            "client_pages",
            {"fields": "id,agencies.business(1){id}"},
            "agencies takes no parameter business",
        ),
        (
            "Business",
            None,
            {"fields": "client_apps.limit(1){id,agencies{id,nme}}"},
            "Business has no field nme",
        ),
        ("Business", None, {"fields": "id,name{"}, "fields cannot be read"),
        ("debug_token", None, {}, "debug_token lacks input_token"),
        (
            "debug_token",
            None,
            {"input_token": "x", "token": "y"},
            "debug_token takes no parameter token",
        ),
        ("app", None, {"fields": "secret"}, "Application has no field secret"),
        ("me", None, {"fields": "id,shoe"}, "User has no field shoe"),
        (None, "system_users", {"fields": "id,roles"}, "SystemUser has no field roles"),
    ],
)
def test_one_mistake_is_one_complaint(
    node: str | None, edge: str | None, params: dict[str, str], complaint: str
) -> None:
    """Expect a complaint about the one mistake in each of these reads."""
    assert published.outside(node, edge, params) == [complaint]


def test_each_mistake_is_complained_about_once() -> None:
    """Expect missing parameters, then unknown parameters, then fields, in a stable order."""
    fields = "id,nme,nme,business{id,x}"
    assert published.outside(
        "Page", "assigned_users", {"foo": "1", "bar": "2", "fields": fields}
    ) == [
        "assigned_users lacks business",
        "assigned_users takes no parameter bar",
        "assigned_users takes no parameter foo",
        "AssignedUser has no field nme",
        "Business has no field x",
    ]


def test_unknown_type_raises_key_error() -> None:
    """Pass a misspelled type, which must not match everything."""
    with pytest.raises(KeyError):
        published.outside("Buisness", None, {})


# Requests


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/v26.0/123/agencies", {"fields": "id,name,shared_ca_count"}),
        ("123/agencies?fields=id%2Cname&limit=5", None),
        ("/act_1/agencies", {"fields": "access_status"}),
        ("/v26.0/me/assigned_pages", {"fields": "id,name,tasks,permitted_tasks"}),
        ("/v26.0/debug_token", {"input_token": "x", "access_token": "y"}),
        ("/v25.0/app", {"fields": "id,name"}),
        ("/v26.0/123", {"limit": 5}),
    ],
)
def test_published_request_has_no_complaint(path: str, params: dict[str, Any] | None) -> None:
    """Use paths with and without version and query, and values that are not text."""
    assert published.complaints("GET", path, params) == []
    assert published.complaints("get", path, params) == []


@pytest.mark.parametrize(
    ("method", "path", "complaint"),
    [
        ("GET", "/v26.0/123/agencys", "no node has an edge agencys"),
        ("GET", "/act_1/assigned_users?business=1&fields=nme", "AssignedUser has no field nme"),
        ("GET", "/act_1?fields=verification_status", "AdAccount has no field verification_status"),
        ("GET", "/v26.0/?ids=1,2", "a read names a node"),
        ("GET", "/v26.0/1/agencies/2", "a path is a node and at most one edge"),
        ("DELETE", "/v26.0/1/agencies", "DELETE is not a read"),
        ("POST", "/v26.0/1/agencies", "POST is not a read"),
    ],
)
def test_unpublished_request_is_complained_about(method: str, path: str, complaint: str) -> None:
    """Try paths and methods, and a path whose prefix shows its type."""
    assert published.complaints(method, path) == [complaint]


def test_given_node_type_is_used() -> None:
    """Read a field that only other types have."""
    path = "/v26.0/123/agencies?fields=access_status"
    assert published.complaints("GET", path) == []
    assert published.complaints("GET", path, node="Business") == [
        "Business has no field access_status"
    ]


@pytest.mark.parametrize("encode", [json.dumps, list])
def test_batch_has_the_complaints_of_its_operations(encode: Any) -> None:
    """Pass JSON text or a list; expect each complaint once, the batch's own first."""
    operations = [
        {"method": "GET", "relative_url": "1/agencies?fields=id,nme", "name": "one"},
        {"method": "GET", "relative_url": "v26.0/1/agencies?fields=id,nme"},
        {"method": "GET", "relative_url": "me?access_token=x&appsecret_proof=y", "headers": []},
        {"method": "DELETE", "relative_url": "1/agencies", "hurry": True},
        {"method": "POST", "relative_url": "1/agencies", "body": "business=1"},
    ]
    form = {
        "access_token": "x",
        "include_headers": "true",
        "size": "9",
        "batch": encode(operations),
    }
    assert published.complaints("POST", "/v26.0/", form) == [
        "a batch takes no parameter size",
        "an operation has no key hurry",
        "Business has no field nme",
        "DELETE is not a read",
        "POST is not a read",
    ]


def test_published_batch_has_no_complaint() -> None:
    """Send a batch as in Meta's documentation."""
    operations = '[{"method":"GET","relative_url":"act_1\\/assigned_users?business=2&fields=id"}]'
    form = {"access_token": "x", "appsecret_proof": "y", "batch": operations}
    assert published.complaints("POST", "/v26.0/", form) == []


@pytest.mark.parametrize("batch", ["[{", "{}", "[1]", 7, None])
def test_invalid_batch_is_complained_about(batch: Any) -> None:
    assert published.complaints("POST", "/", {"batch": batch}) == [
        "a batch is a list of operations"
    ]


@pytest.mark.parametrize("secret", SECRETS)
def test_complaints_contain_no_value(secret: str) -> None:
    """Send ids, tokens and addresses in all places of a request."""
    operations = [{"method": secret, "relative_url": f"{secret}/{secret}?{secret}=1", secret: 1}]
    complaints = [
        *published.complaints("GET", f"/v26.0/{secret}/{secret}", {secret: secret}),
        *published.complaints("GET", f"/v26.0/1/agencies?{secret}=1", {"fields": secret}),
        *published.complaints("GET", "/1", {"fields": f"name.{secret}(1){{{secret}}}"}),
        *published.complaints(secret, "/1"),
        *published.complaints("GET", f"/{secret}/{secret}/{secret}"),
        *published.complaints("POST", "/", {"batch": json.dumps(operations), secret: secret}),
    ]
    assert len(complaints) >= 6
    assert not any(secret in one for one in complaints)


def test_published_imports_without_the_world() -> None:
    """Import the module in a process and look for the world's modules."""
    program = (
        "import sys\n"
        "from graph_simulator import published\n"
        "print(published.complaints('GET', '/act_1', {'fields': 'nme'}))\n"
        "print(sorted(m for m in sys.modules if m.startswith('graph_simulator.w')))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=20
    )
    assert ran.stdout == "['AdAccount has no field nme']\n[]\n"
