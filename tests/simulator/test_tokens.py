"""Tests of kinds of tokens, debug_token and appsecret_proof.

A mark such as `#plan-validation` is a heading of `docs/reference/graph-facts.md`.
"""

import hashlib
import hmac
import time
from typing import Any

import pytest

from .surface import Surface, first, graph_id


async def inspect(surface: Surface, text: str) -> dict[str, Any]:
    data = (await surface.read("debug_token", surface.app_token, input_token=text))["data"]
    return dict(data)


async def test_good_token_has_all_required_properties(surface: Surface) -> None:
    """Expect a system user's token of our app with six scopes and without expiry."""
    partner = surface.partner()
    data = await inspect(surface, partner["tokens"]["good"])
    assert data["is_valid"] is True
    assert data["app_id"] == surface.truth["app"]["id"]
    assert data["type"] == "SYSTEM_USER"
    assert (data["expires_at"], data["data_access_expires_at"]) == (0, 0)
    assert len(data["scopes"]) == 6
    assert data["user_id"] == partner["system_user"]["id"]
    assert (await surface.read("me", partner["tokens"]["good"]))["id"] == data["user_id"]


@pytest.mark.parametrize(("kind", "subcode"), [("expired", 463), ("revoked", 460)])
async def test_invalid_tokens_are_190_and_described_by_debug_token(
    surface: Surface, kind: str, subcode: int
) -> None:
    """Expect a subcode for a call, and HTTP 200 with the error inside from debug_token."""
    token = surface.partner()["tokens"][kind]
    error = await surface.error("me", token)
    assert (error["code"], error["error_subcode"]) == (190, subcode)
    data = await inspect(surface, token)
    assert data["is_valid"] is False
    assert (data["error"]["code"], data["error"]["subcode"]) == (190, subcode)


async def test_debug_token_shows_why_a_token_is_unsuitable(surface: Surface) -> None:
    """Inspect: wrong app, a person, 60 days, missing scope, narrowed targets, employee."""
    partner = surface.partner()
    tokens = partner["tokens"]
    assert (await inspect(surface, tokens["wrong_app"]))["app_id"] != surface.truth["app"]["id"]
    assert (await inspect(surface, tokens["user_type"]))["type"] == "USER"
    expiring = await inspect(surface, tokens["expiring"])
    assert 59 * 86400 < expiring["expires_at"] - time.time() <= 60 * 86400
    missing = await inspect(surface, tokens["missing_scope"])
    assert "catalog_management" not in missing["scopes"]
    narrowed = await inspect(surface, tokens["narrowed"])
    assert any("target_ids" in granular for granular in narrowed["granular_scopes"])
    rows = await surface.rows(f"{partner['id']}/system_users", tokens["employee"], fields="role")
    roles = {row["id"]: row["role"] for row in rows}
    me = (await surface.read("me", tokens["employee"]))["id"]
    assert roles[me] == "EMPLOYEE"
    assert roles[partner["system_user"]["id"]] == "ADMIN"


async def test_debug_token_needs_the_app_token(surface: Surface) -> None:
    """Refuse a system user's token, even for itself, unless the switch allows it."""
    token = surface.partner()["tokens"]["good"]
    refused = await surface.get("debug_token", token, input_token=token)
    assert refused.status_code == 400
    assert "You must provide an app access token" in refused.json()["error"]["message"]
    await surface.switch(debug_token_self_inspection=True)
    assert (await surface.read("debug_token", token, input_token=token))["data"]["is_valid"]
    other = surface.host["token"]
    assert (await surface.error("debug_token", token, input_token=other))["code"] == 100


async def test_debug_token_of_unparsable_token_is_200_with_error_only(surface: Surface) -> None:
    data = await inspect(surface, "nonsense")
    assert set(data) == {"error", "is_valid", "scopes"}
    assert data["scopes"] == []


async def test_debug_token_refuses_another_apps_token_if_switched_on(surface: Surface) -> None:
    await surface.switch(debug_other_app="refused")
    data = await inspect(surface, surface.partner()["tokens"]["wrong_app"])
    assert data["is_valid"] is False
    assert data["error"]["code"] == 100


async def test_me_permissions_and_app_are_readable_without_the_secret(surface: Surface) -> None:
    """Read what a token shows without the app secret (`#plan-validation`)."""
    partner = surface.partner()
    rows = await surface.rows("me/permissions", partner["tokens"]["missing_scope"])
    assert {row["permission"] for row in rows} == set(
        partner["token_details"]["missing_scope"]["scopes"]
    )
    assert (await surface.read("app", partner["tokens"]["good"], fields="id"))["id"] == (
        surface.truth["app"]["id"]
    )
    assert (await surface.rows("me/businesses", partner["tokens"]["good"]))[0]["id"] == partner[
        "id"
    ]


def sign(surface: Surface, message: str) -> str:
    secret = surface.truth["app"]["secret"]
    return hmac.new(secret.encode(), message.encode(), hashlib.sha256).hexdigest()


async def test_appsecret_proof_is_checked_and_may_be_required(
    surface: Surface,
) -> None:
    """Accept plain and timed values; refuse wrong, stale and missing values with 100."""
    token, now = surface.host["token"], int(time.time())
    plain: dict[str, Any] = {"appsecret_proof": sign(surface, token)}
    timed: dict[str, Any] = {
        "appsecret_proof": sign(surface, f"{token}|{now}"),
        "appsecret_time": now,
    }
    stale: dict[str, Any] = {
        "appsecret_proof": sign(surface, f"{token}|{now - 400}"),
        "appsecret_time": now - 400,
    }
    for params in (plain, timed):
        assert (await surface.get("me", **params)).status_code == 200
    for params in (stale, {"appsecret_proof": "0" * 64}):
        error = await surface.error("me", **params)
        assert (error["code"], "Invalid appsecret_proof" in error["message"]) == (100, True)
    await surface.switch(appsecret_proof="required")
    assert "require an appsecret_proof" in (await surface.error("me"))["message"]
    assert (await surface.get("me", **timed)).status_code == 200
    await surface.switch(appsecret_proof="plain")
    assert (await surface.error("me", **timed))["code"] == 100
    await surface.switch(appsecret_proof="timed")
    assert (await surface.error("me", **plain))["code"] == 100
    await surface.switch(appsecret_proof="off")
    assert (await surface.get("me", appsecret_proof="nonsense")).status_code == 200


async def test_missing_or_narrowed_scope_shortens_lists_without_error(surface: Surface) -> None:
    """Expect fewer rows from the same calls (`#short-lists`)."""
    partner = surface.partner()
    tokens = partner["tokens"]
    catalogs = f"{partner['id']}/client_product_catalogs"
    accounts = f"{partner['id']}/client_ad_accounts"
    assert await surface.rows(catalogs, tokens["good"])
    assert await surface.rows(catalogs, tokens["missing_scope"]) == []
    assert len(await surface.rows(accounts, tokens["narrowed"])) == 1
    assert len(await surface.rows(accounts, tokens["good"])) > 1
    await surface.switch(missing_scope="error")
    assert (await surface.error(catalogs, tokens["missing_scope"]))["code"] == 200


async def test_pages_are_not_listed_without_business_management(surface: Surface) -> None:
    """Expect an empty me/accounts, and code 200 from people edges (`#short-lists`)."""
    partner = surface.partner()
    token = partner["tokens"]["good"]
    assert await surface.rows("me/accounts", token)
    await surface.mutate("remove_scope", partner=partner["id"], scope="business_management")
    assert await surface.rows("me/accounts", token) == []
    assert (await surface.error(f"{partner['id']}/business_users", token))["code"] == 200


async def test_page_token_reads_its_page_only(surface: Surface) -> None:
    """Read Page edges, which need the Page token; refuse it for other assets and people."""
    partner = surface.partner()
    page = first(partner, "page")
    good = partner["tokens"]["good"]
    refused = await surface.error(f"{page['id']}/assigned_users", good, business=partner["id"])
    assert refused["code"] == 210
    token = (await surface.read(page["id"], good, fields="access_token"))["access_token"]
    rows = await surface.rows(f"{page['id']}/assigned_users", token, business=partner["id"])
    assert {person["id"] for person in page["people"] if person["via"] == "direct"} <= {
        row["id"] for row in rows
    }
    assert (await surface.read("me", token))["id"] == page["id"]
    account = graph_id(first(partner, "ad_account"))
    assert (await surface.error(account, token))["error_subcode"] == 33
    assert (await surface.error(f"{partner['id']}/business_users", token))["error_subcode"] == 33
    assert (await inspect(surface, token))["profile_id"] == page["id"]
    await surface.switch(page_edges_need_page_token=False)
    assert await surface.rows(f"{page['id']}/assigned_users", good, business=partner["id"])


async def test_employee_sees_assigned_assets_only(surface: Surface) -> None:
    """Expect the employee system user's own assets, and no Page token."""
    partner = surface.partner()
    tokens = partner["tokens"]
    few = await surface.rows(f"{partner['id']}/client_pages", tokens["employee"])
    many = await surface.rows(f"{partner['id']}/client_pages", tokens["good"])
    assert len(few) < len(many) or len(many) == 1
    assert all("access_token" not in row for row in few)
