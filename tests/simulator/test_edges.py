"""Tests of the rows of edges, for each kind of caller.

Facts: `docs/reference/graph-facts.md`, from `#plan-partners` to `#plan-people`.
"""

from typing import Any

import pytest

from .surface import Surface, first, graph_id


async def test_agencies_and_clients_list_all_partners(surface: Surface) -> None:
    """Read both directions, with permission rows as default fields and a count."""
    answer = await surface.read(f"{surface.host['id']}/agencies", summary="total_count", limit=100)
    agencies = {row["id"]: row for row in answer["data"]}
    wanted = {p["id"] for p in surface.truth["partners"] if p["relationship"] != "client"}
    assert set(agencies) == wanted
    assert answer["summary"]["total_count"] == len(wanted)
    partner = surface.partner()
    ids = {row["id"] for row in agencies[partner["id"]]["adaccount_permissions"]}
    assert ids == {graph_id(a) for a in partner["shared_assets"] if a["type"] == "ad_account"}
    clients = await surface.rows(f"{surface.host['id']}/clients", fields="id,name")
    assert {row["id"] for row in clients} == {
        p["id"] for p in surface.truth["partners"] if p["relationship"] != "agency"
    }


@pytest.mark.parametrize("relationship", ["agency", "client", "both"])
async def test_assigned_users_match_the_world(surface: Surface, relationship: str) -> None:
    """Compare people, system users and tasks of every asset with the world."""
    partner = surface.partner(relationship)
    good = partner["tokens"]["good"]
    for asset in partner["shared_assets"]:
        token = good
        if asset["type"] == "page":
            token = (await surface.read(asset["id"], good, fields="access_token"))["access_token"]
        rows = await surface.rows(
            f"{graph_id(asset)}/assigned_users",
            token,
            business=partner["id"],
            fields="id,name,user_type,business{id,name},tasks",
            limit=100,
        )
        direct = [p for p in asset["people"] if p["via"] == "direct"] + asset["system_users"]
        assert {row["id"]: row["tasks"] for row in rows} == {p["id"]: p["tasks"] for p in direct}
        assert {row["business"]["id"] for row in rows} == {partner["id"]}
        assert {row["user_type"] for row in rows} <= {"BUSINESS_USER", "SYSTEM_USER"}


async def test_business_a_cannot_read_the_people_of_business_b(surface: Surface) -> None:
    """Expect 100/33 for the host and for another partner: the reason for partner tokens."""
    partner, other = surface.partner("agency"), surface.partner("client")
    account = graph_id(first(partner, "ad_account"))
    for path, params in (
        (f"{partner['id']}/business_users", {}),
        (f"{partner['id']}/system_users", {}),
        (f"{account}/assigned_users", {"business": partner["id"]}),
        (partner["people"][0]["id"], {}),
    ):
        assert (await surface.error(path, **params))["error_subcode"] == 33
    stranger = await surface.error(partner["id"], other["tokens"]["good"])
    assert (stranger["code"], stranger["error_subcode"]) == (100, 33)
    await surface.switch(host_sees_partner_people=True)
    assert await surface.rows(f"{account}/assigned_users", business=partner["id"])


async def test_business_parameter_selects_one_of_two_agencies(surface: Surface) -> None:
    """Read the people of an asset that two agencies share."""
    agencies = [p for p in surface.truth["partners"] if p["relationship"] == "agency"]
    ids = [{a["id"] for a in p["shared_assets"]} for p in agencies]
    (common,) = ids[0] & ids[1]
    for partner in agencies:
        rows = await surface.rows(
            f"act_{common}/assigned_users", partner["tokens"]["good"], business=partner["id"]
        )
        own = {p["id"] for p in partner["people"]} | {
            partner["system_user"]["id"],
            partner["employee_system_user"]["id"],
        }
        assert {row["id"] for row in rows} <= own


async def test_owner_sees_pending_share_with_status(surface: Surface) -> None:
    """Expect the status PENDING at the owner and no asset at the partner (`#asset-agencies`)."""
    partner = surface.partner()
    (pending,) = partner["pending_assets"]
    rows = await surface.rows(f"act_{pending['id']}/agencies")
    assert {row["access_status"] for row in rows} == {"PENDING"}
    assert rows[0]["access_requested_time"].endswith("+0000")
    waiting = await surface.rows(
        f"{partner['id']}/pending_client_ad_accounts", partner["tokens"]["good"]
    )
    assert waiting[0]["ad_account"]["id"] == f"act_{pending['id']}"
    shared = await surface.rows(f"{partner['id']}/client_ad_accounts", partner["tokens"]["good"])
    assert f"act_{pending['id']}" not in {row["id"] for row in shared}


async def test_client_lists_of_partner_are_the_shared_assets(surface: Surface) -> None:
    """Read client_* of a partner, the assets that our own business shares (`#asset-lists`)."""
    partner = surface.partner("both")
    token = partner["tokens"]["good"]
    seen: set[str] = set()
    for plural, extra in (
        ("ad_accounts", "permitted_tasks"),
        ("pages", "permitted_tasks"),
        ("product_catalogs", "permitted_roles"),
        ("pixels", "permitted_tasks"),
    ):
        rows = await surface.rows(
            f"{partner['id']}/client_{plural}", token, fields=f"id,owner_business{{id}},{extra}"
        )
        assert all(row["owner_business"]["id"] == surface.host["id"] for row in rows)
        assert all(row[extra] for row in rows)
        seen |= {row["id"] for row in rows}
    ours = [a for a in partner["shared_assets"] if a["direction"] == "ours_shared_to_partner"]
    assert seen == {graph_id(asset) for asset in ours}
    default = await surface.rows(f"{partner['id']}/client_ad_accounts", token)
    assert set(default[0]) == {"id", "account_id"}


async def test_people_edges_list_all_people_with_their_fields(surface: Surface) -> None:
    """Compare all people, some of them without email address, and all pending invites."""
    partner = surface.partner()
    token = partner["tokens"]["good"]
    rows = await surface.rows(
        f"{partner['id']}/business_users",
        token,
        fields="id,name,first_name,last_name,email,pending_email,title,role,two_fac_status",
        limit=100,
    )
    known = {person["id"]: person for person in partner["people"]}
    assert {row["id"] for row in rows} == set(known)
    for row in rows:
        person = known[row["id"]]
        for name in ("name", "email", "role", "two_fac_status", "title"):
            assert row.get(name) == person[name]
    pending = await surface.rows(f"{partner['id']}/pending_users", token)
    assert {row["email"] for row in pending} == {p["email"] for p in partner["pending_users"]}


async def test_person_with_group_access_is_listed_by_the_group_only(surface: Surface) -> None:
    """Expect the person in assigned_business_asset_groups, not in assigned_users."""
    partner = surface.partner()
    token = partner["tokens"]["good"]
    asset, person = next(
        (asset, person)
        for asset in partner["shared_assets"]
        for person in asset["people"]
        if person["via"] == "group"
    )
    path = f"{graph_id(asset)}/assigned_users"
    rows = await surface.rows(path, token, business=partner["id"], limit=100)
    assert person["id"] not in {row["id"] for row in rows}
    (group,) = await surface.rows(
        f"{person['id']}/assigned_business_asset_groups", token, contained_asset_id=asset["id"]
    )
    assert group["adaccount_tasks"] == person["tasks"]
    (inside,) = await surface.rows(f"{group['id']}/contained_adaccounts", token)
    assert inside["id"] == graph_id(asset)
    users = await surface.rows(f"{group['id']}/assigned_users", token, business=partner["id"])
    assert [row["id"] for row in users] == [person["id"]]
    await surface.switch(assigned_users_include_groups=True)
    rows = await surface.rows(path, token, business=partner["id"], limit=100)
    assert person["id"] in {row["id"] for row in rows}


async def test_one_read_lists_groups_with_assets_and_members(surface: Surface) -> None:
    """Read the groups as the partner; other businesses see neither groups nor members."""
    partner = surface.partner()
    token = partner["tokens"]["good"]
    (known,) = partner["asset_groups"]
    people = f"assigned_users.business({partner['id']}).summary(true){{id,business{{id}}}}"
    fields = f"id,contained_adaccounts.limit(100){{id}},contained_pages{{id}},{people}"
    path = f"{partner['id']}/business_asset_groups"

    (row,) = await surface.rows(path, token, fields=fields)
    assert row["id"] == known["id"]
    assert [a["id"] for a in row["contained_adaccounts"]["data"]] == [
        f"act_{asset_id}" for asset_id in known["assets"]
    ]
    assert "contained_pages" not in row
    assert [p["id"] for p in row["assigned_users"]["data"]] == known["members"]
    assert row["assigned_users"]["data"][0]["business"]["id"] == partner["id"]
    assert row["assigned_users"]["summary"]["total_count"] == 1

    for stranger in (surface.host["token"], surface.partner("client")["tokens"]["good"]):
        for hidden in (path, known["id"]):
            assert (await surface.error(hidden, stranger))["error_subcode"] == 33
    await surface.switch(business_argument_in_expansion=False)
    assert (await surface.error(path, token, fields=fields))["code"] == 100
    await surface.switch(refused_expansion="omit")
    (row,) = await surface.rows(path, token, fields=fields)
    assert set(row) == {"id", "contained_adaccounts"}


async def test_admin_system_user_has_full_control_of_shared_assets(surface: Surface) -> None:
    """Read assigned_* of the admin system user, by id and as /me (`#plan-validation`)."""
    partner = surface.partner()
    token, user = partner["tokens"]["good"], partner["system_user"]["id"]
    for who in (user, "me"):
        accounts = await surface.rows(f"{who}/assigned_ad_accounts", token, fields="id,tasks")
        assert all("MANAGE" in row["tasks"] for row in accounts)
        pages = await surface.rows(f"{who}/assigned_pages", token)
        assert pages
        catalogs = await surface.rows(f"{who}/assigned_product_catalogs", token)
        assert {row["access_type"] for row in catalogs} == {"AGENCY"}
    error = await surface.error(f"{user}/assigned_product_catalogs", token, fields="id,tasks")
    assert error["code"] == 100
    await surface.switch(tasks_on_assigned_catalogs=True)
    rows = await surface.rows(f"{user}/assigned_product_catalogs", token, fields="id,tasks")
    assert "MANAGE" in rows[0]["tasks"]


async def test_app_approval_is_visible_to_the_partner(surface: Surface) -> None:
    """Expect pending_client_apps before the approval, client_apps after it."""
    partner = surface.partner()
    token, app_id = partner["tokens"]["good"], surface.truth["app"]["id"]
    fields = "id,client_apps.limit(100){id},owned_apps.limit(100){id}"
    read = await surface.read(partner["id"], token, fields=fields)
    assert [row["id"] for row in read["client_apps"]["data"]] == [app_id]
    assert "owned_apps" not in read
    await surface.mutate("request_app", partner=partner["id"])
    assert "client_apps" not in await surface.read(partner["id"], token, fields=fields)
    (request,) = await surface.rows(
        f"{partner['id']}/pending_client_apps", token, fields="application{id}"
    )
    assert request["application"]["id"] == app_id


@pytest.mark.parametrize(("mode", "code"), [("full", None), ("partial", None), ("refused", 200)])
async def test_business_users_may_be_partial_or_refused(
    surface: Surface, mode: str, code: int | None
) -> None:
    """Expect a short or refused list of people, and a complete assigned_users."""
    partner = surface.partner()
    token = partner["tokens"]["good"]
    await surface.switch(business_users=mode)
    answer = await surface.get(
        f"{partner['id']}/business_users", token, limit=100, summary="total_count"
    )
    body: dict[str, Any] = answer.json()
    if code is not None:
        assert body["error"]["code"] == code
    else:
        seen, total = len(body["data"]), len(partner["people"])
        assert (seen == total) if mode == "full" else (0 < seen < total)
        assert body["summary"]["total_count"] == seen
    account = first(partner, "ad_account")
    rows = await surface.rows(
        f"{graph_id(account)}/assigned_users", token, business=partner["id"], limit=100
    )
    assert len(rows) == len(account["system_users"]) + sum(
        person["via"] == "direct" for person in account["people"]
    )


async def test_switches_of_open_questions_change_rows(surface: Surface) -> None:
    """Set the switches for shapes and spellings that Meta does not document."""
    partner = surface.partner()
    token, agencies = partner["tokens"]["good"], f"{surface.host['id']}/agencies"
    await surface.switch(permissions_rows="id_only")
    row = (await surface.rows(agencies))[0]
    assert set(row["adaccount_permissions"][0]) == {"id"}
    await surface.switch(permissions_rows="refused")
    assert (await surface.error(agencies, fields="adaccount_permissions"))["code"] == 100
    assert "adaccount_permissions" not in (await surface.rows(agencies))[0]
    await surface.switch(role_spelling="title", two_fac_status="absent")
    rows = await surface.rows(
        f"{partner['id']}/business_users", token, fields="role,two_fac_status"
    )
    assert "Admin" in {row["role"] for row in rows}
    assert all("two_fac_status" not in row for row in rows)
    await surface.switch(app_scoped_system_users=True)
    foreign = (await surface.read("me", partner["tokens"]["wrong_app"]))["id"]
    assert foreign != partner["system_user"]["id"]
    own = await surface.rows(f"{foreign}/assigned_ad_accounts", partner["tokens"]["wrong_app"])
    assert own
    assert (await surface.error(f"{surface.host['id']}/partner_relationships"))["code"] == 3
    await surface.switch(partner_relationships=True)
    rows = await surface.rows(f"{surface.host['id']}/partner_relationships")
    assert len(rows) == len(surface.truth["partners"])
    await surface.switch(client_ad_accounts_lapsed=True)
    assert await surface.rows(f"{partner['id']}/client_ad_accounts", token) == []


async def test_unknown_switch_or_value_changes_nothing(surface: Surface) -> None:
    """Expect a PATCH with one mistake to be refused as a whole."""
    for body in (
        {"max_page_limit": 7, "nope": 1},
        {"max_page_limit": "7"},
        {"business_users": "x"},
    ):
        answer = await surface.http.patch("/__simulator__/switches", json=body)
        assert answer.status_code == 422
    listed = (await surface.http.get("/__simulator__/switches")).json()["switches"]
    assert all(item["value"] == item["default"] and item["about"] for item in listed)
