"""Tests that mutations change the world and the answers of the Graph API."""

from typing import Any

import pytest

from .surface import Surface, first, graph_id


async def people_on(surface: Surface, partner: dict[str, Any], asset: dict[str, Any]) -> set[str]:
    rows = await surface.rows(
        f"{graph_id(asset)}/assigned_users",
        partner["tokens"]["good"],
        business=partner["id"],
        limit=200,
    )
    return {row["id"] for row in rows}


async def test_people_join_leave_and_change(surface: Surface) -> None:
    """Use join, leave, rename and the change_* mutations of people."""
    partner = surface.partner()
    account, token = first(partner, "ad_account"), partner["tokens"]["good"]
    joined = (
        await surface.mutate(
            "join", partner=partner["id"], assets=[account["id"]], name="New Comer", role="ADMIN"
        )
    )["person"]
    assert joined in await people_on(surface, partner, account)
    await surface.mutate("rename", id=joined, name="Old Hand")
    await surface.mutate("change_email", person=joined, email="old.hand@example.com")
    await surface.mutate("change_role", person=joined, role="EMPLOYEE")
    await surface.mutate("change_two_factor", person=joined, two_fac_status="enabled")
    fields = "id,name,email,role,two_fac_status"
    assert await surface.read(joined, token, fields=fields) == {
        "id": joined,
        "name": "Old Hand",
        "email": "old.hand@example.com",
        "role": "EMPLOYEE",
        "two_fac_status": "enabled",
    }
    await surface.mutate("change_tasks", person=joined, asset=account["id"], tasks=["ANALYZE"])
    truth = next(p for p in surface.partner()["people"] if p["id"] == joined)
    assert truth["assets"][0]["tasks"] == ["ANALYZE"]
    await surface.mutate("change_tasks", person=joined, asset=account["id"], tasks=[])
    assert joined not in await people_on(surface, partner, account)
    await surface.mutate("leave", person=joined)
    assert (await surface.error(joined, token))["error_subcode"] == 33


async def test_person_moved_to_group_keeps_access_through_it(surface: Surface) -> None:
    """Use move_to_group: the person has access, but no direct assignment."""
    partner = surface.partner()
    account = first(partner, "ad_account")
    person = next(p["id"] for p in account["people"] if p["via"] == "direct")
    await surface.mutate("move_to_group", person=person, asset=account["id"])
    assert person not in await people_on(surface, partner, account)
    known = next(p for p in surface.partner()["people"] if p["id"] == person)
    assert {"group"} == {a["via"] for a in known["assets"] if a["id"] == account["id"]}


async def test_people_and_system_users_join_and_leave_groups(surface: Surface) -> None:
    """Use join_group and leave_group, with direct assignments and several groups."""
    partner = surface.partner()
    token, page = partner["tokens"]["good"], first(partner, "page")
    person = next(p["id"] for p in page["people"] if p["via"] == "direct")
    robot, catalog = partner["employee_system_user"]["id"], first(partner, "product_catalog")
    one, other = [
        await surface.mutate("join_group", person=person, assets=[page["id"]], tasks=[task])
        for task in ("ANALYZE", "MODERATE")
    ]
    await surface.mutate("join_group", person=robot, assets=[catalog["id"], page["id"]])

    known = first(surface.partner(), "page")
    ways = {(p["id"], p["via"]): p["tasks"] for p in known["people"] + known["system_users"]}
    assert ways[person, "direct"] == next(p["tasks"] for p in page["people"] if p["id"] == person)
    assert ways[person, "group"] == ["ANALYZE", "MODERATE"]
    assert ways[robot, "group"] == ["ANALYZE"]
    listed = await surface.rows(f"{person}/assigned_business_asset_groups", token)
    assert {row["id"]: row["page_tasks"] for row in listed} == {
        one["group"]: ["ANALYZE"],
        other["group"]: ["MODERATE"],
    }

    await surface.mutate("leave_group", person=person, group=one["group"])
    listed = await surface.rows(f"{person}/assigned_business_asset_groups", token)
    assert [row["id"] for row in listed] == [other["group"]]
    assert await surface.rows(f"{one['group']}/assigned_users", token, business=partner["id"]) == []
    groups = {group["id"]: group for group in surface.partner()["asset_groups"]}
    assert (groups[one["group"]]["assets"], groups[one["group"]]["members"]) == ([page["id"]], [])
    again = {"op": "leave_group", "person": person, "group": one["group"]}
    answer = await surface.http.post("/__simulator__/mutations", json=again)
    assert answer.status_code == 422


async def test_assets_are_shared_and_unshared(surface: Surface) -> None:
    """Use share (a new and an existing asset), change_permitted_tasks and unshare."""
    partner = surface.partner()
    token = partner["tokens"]["good"]
    made = await surface.mutate("share", partner=partner["id"], type="product_catalog")
    rows = await surface.rows(
        f"{partner['id']}/client_product_catalogs", token, fields="id,permitted_roles"
    )
    assert {"id": made["asset"], "permitted_roles": ["ADMIN"]} in rows
    await surface.mutate(
        "change_permitted_tasks", partner=partner["id"], asset=made["asset"], tasks=["ADVERTISE"]
    )
    await surface.mutate("unshare", partner=partner["id"], asset=made["asset"])
    assert made["asset"] not in {a["id"] for a in surface.partner()["shared_assets"]}
    assert (await surface.error(made["asset"], token))["error_subcode"] == 33
    await surface.mutate("share", partner=partner["id"], asset=partner["pending_assets"][0]["id"])
    assert surface.partner()["pending_assets"] == []
    theirs = await surface.mutate(
        "share", partner=partner["id"], type="pixel", direction="theirs_shared_to_us"
    )
    received = await surface.rows(f"{surface.host['id']}/client_pixels")
    assert theirs["asset"] in {row["id"] for row in received}


async def test_partnerships_end_and_begin(surface: Surface) -> None:
    """Use end_partnership, which ends both directions, and new_partner."""
    partner = surface.partner("both")
    await surface.mutate("end_partnership", partner=partner["id"])
    for edge in ("agencies", "clients"):
        rows = await surface.rows(f"{surface.host['id']}/{edge}", limit=100)
        assert partner["id"] not in {row["id"] for row in rows}
    ended = next(p for p in surface.truth["partners"] if p["id"] == partner["id"])
    assert (ended["relationship"], ended["shared_assets"]) == ("none", [])
    assert not any(person["has_access"] for person in ended["people"])
    made = (await surface.mutate("new_partner", relationship="client", assets=2, users=3))[
        "partner"
    ]
    assert made in {row["id"] for row in await surface.rows(f"{surface.host['id']}/clients")}


@pytest.mark.parametrize(
    ("op", "arguments", "subcode"),
    [
        ("revoke_token", {"subcode": 459}, 459),
        ("expire_token", {}, 463),
        ("remove_app", {}, 458),
        ("remove_system_user", {}, 460),
    ],
)
async def test_invalidated_token_is_refused_with_its_page_tokens(
    surface: Surface, op: str, arguments: dict[str, Any], subcode: int
) -> None:
    """Invalidate a good token in each way."""
    partner = surface.partner()
    token = partner["tokens"]["good"]
    page = (await surface.rows("me/accounts", token))[0]["access_token"]
    await surface.mutate(op, partner=partner["id"], **arguments)
    for invalid in (token, page):
        error = await surface.error("me", invalid)
        assert (error["code"], error["error_subcode"]) == (190, subcode)


async def test_tokens_are_narrowed_restored_and_replaced(surface: Surface) -> None:
    """Use narrow_scopes, restore_token and new_token, by token or by partner and kind."""
    partner = surface.partner()
    token, path = partner["tokens"]["good"], f"{partner['id']}/client_ad_accounts"
    whole = await surface.rows(path, token)
    await surface.mutate("narrow_scopes", token=token)
    assert len(await surface.rows(path, token)) < len(whole)
    await surface.mutate("restore_token", partner=partner["id"])
    assert await surface.rows(path, token) == whole
    fresh = (await surface.mutate("new_token", partner=partner["id"]))["token"]
    assert fresh != token
    assert await surface.rows(path, fresh) == whole
    assert await surface.rows(path, token) == whole


async def test_admin_system_user_is_downgraded(surface: Surface) -> None:
    """Use downgrade_system_user and upgrade_system_user."""
    partner = surface.partner()
    await surface.mutate("downgrade_system_user", partner=partner["id"])
    rows = await surface.rows(f"{partner['id']}/system_users", partner["tokens"]["good"])
    assert {row["role"] for row in rows} == {"EMPLOYEE"}
    await surface.mutate("upgrade_system_user", partner=partner["id"])
    rows = await surface.rows(f"{partner['id']}/system_users", partner["tokens"]["good"])
    assert {row["role"] for row in rows} == {"ADMIN", "EMPLOYEE"}


async def test_requested_app_is_pending_until_approved(surface: Surface) -> None:
    """Use request_app and approve_app."""
    partner = surface.partner()
    token = partner["tokens"]["good"]
    await surface.mutate("request_app", partner=partner["id"])
    assert await surface.rows(f"{partner['id']}/client_apps", token) == []
    await surface.mutate("approve_app", partner=partner["id"])
    assert await surface.rows(f"{partner['id']}/pending_client_apps", token) == []
    (app,) = await surface.rows(f"{partner['id']}/client_apps", token)
    assert app["id"] == surface.truth["app"]["id"]


async def test_invite_is_pending_and_adds_no_person(surface: Surface) -> None:
    partner = surface.partner()
    await surface.mutate("invite", partner=partner["id"], email="new.hand@example.com")
    rows = await surface.rows(
        f"{partner['id']}/pending_users",
        partner["tokens"]["good"],
        email="new.hand@example.com",
        fields="id,email",
    )
    assert [row["email"] for row in rows] == ["new.hand@example.com"]
    assert len(surface.partner()["people"]) == len(partner["people"])


async def test_invalid_mutations_are_refused(surface: Surface) -> None:
    """Try an unknown op, a missing argument and an unknown id."""
    for body in ({}, {"op": "dance"}, {"op": "leave"}, {"op": "leave", "person": "1"}):
        answer = await surface.http.post("/__simulator__/mutations", json=body)
        assert answer.status_code == 422
    assert len((await surface.http.get("/__simulator__/mutations")).json()["mutations"]) > 20
