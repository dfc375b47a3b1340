"""Tests of the complaints about calls that go beyond what Meta publishes."""

import json
from typing import Any

from graph_simulator.runtime.calls import MAX_COMPLAINTS

from .surface import Surface, first, graph_id


async def outside(surface: Surface) -> list[dict[str, Any]]:
    return list((await surface.http.get("/__simulator__/outside-published")).json())


async def test_published_calls_cause_no_complaint(surface: Surface) -> None:
    """Make a simple read, an expanded read, a batch, and a read of an unknown id."""
    partner = surface.partner()
    token = partner["tokens"]["good"]
    await surface.read(f"{surface.host['id']}/agencies", fields="id,name", summary="total_count")
    people = f"assigned_users.business({partner['id']}).limit(2){{id,tasks}}"
    await surface.read(f"{partner['id']}/client_ad_accounts", token, fields=f"id,{people}")
    await surface.batch(token, "me/permissions", "me?fields=id", "app")
    await surface.read("debug_token", surface.app_token, input_token=token)
    await surface.error("999999999999999")
    assert await outside(surface) == []
    assert (await surface.calls())["outside_published"] == []


async def test_complaint_is_listed_once_with_its_count(surface: Surface) -> None:
    """Make refused and answered calls, alone and in a batch. The answers do not change."""
    host = surface.host["id"]
    partner = surface.partner()
    assert (await surface.error(f"{host}/agencies", fields="id,shoe"))["code"] == 100
    await surface.batch(surface.host["token"], f"{host}/agencies?fields=shoe")
    assert await surface.rows(f"{host}/agencies", colour="blue")
    catalog = first(partner, "product_catalog")
    assert await surface.rows(f"{catalog['id']}/agencies", fields="id,access_status")
    await surface.http.delete(
        f"/v26.0/{host}/agencies", params={"access_token": surface.host["token"]}
    )
    assert await outside(surface) == [
        line("GET", "agencies", "Business has no field shoe", 2),
        line("GET", "agencies", "agencies takes no parameter colour", 1),
        line("GET", "agencies", "Business has no field access_status", 1),
        line("DELETE", "agencies", "DELETE is not a read", 1),
    ]
    assert (await surface.calls())["outside_published"] == await outside(surface)


async def test_read_is_compared_with_the_type_of_its_node(surface: Surface) -> None:
    """Read fields that other types have."""
    partner = surface.partner()
    token = partner["tokens"]["good"]
    for path, field, node in (
        (graph_id(first(partner, "ad_account")), "verification_status", "AdAccount"),
        (first(partner, "pixel")["id"], "business", "AdsPixel"),
        (partner["people"][0]["id"], "created_time", "BusinessUser"),
        (partner["system_user"]["id"], "role", "SystemUser"),
        (partner["id"], "email", "Business"),
        (surface.truth["app"]["id"], "email", "Application"),
    ):
        await surface.get(path, token, fields=field)
        assert (await outside(surface))[-1] == line("GET", "node", f"{node} has no field {field}")


async def test_batch_parameters_and_keys_are_checked(surface: Surface) -> None:
    """Send an unknown parameter, an unknown key of an operation, and an invalid batch."""
    token = surface.host["token"]
    operations = json.dumps([{"method": "GET", "relative_url": "me", "hurry": 1}])
    await surface.http.post(
        "/v26.0/", data={"access_token": token, "size": "1", "batch": operations}
    )
    await surface.http.post("/v26.0/", data={"access_token": token, "batch": "[{"})
    assert await outside(surface) == [
        line("POST", "batch", "a batch takes no parameter size"),
        line("POST", "batch", "an operation has no key hurry"),
        line("POST", "batch", "a batch is a list of operations"),
    ]


async def test_list_since_start_survives_cleared_counters_and_reset(surface: Surface) -> None:
    """Clear the counters and reset, as tests do before the list is read at the end."""
    await surface.get("me", fields="shoe")
    await surface.http.delete("/__simulator__/calls")
    assert (await surface.calls())["outside_published"] == []
    await surface.http.post("/__simulator__/reset")
    assert await outside(surface) == [line("GET", "me", "User has no field shoe")]


async def test_list_contains_no_id_and_no_token(surface: Surface) -> None:
    """Send them in the place of names."""
    token, host = surface.host["token"], surface.host["id"]
    await surface.get(f"{host}/{host}", **{token: "1"})
    await surface.get("me", fields=f"{token}{{{host}}}")
    await surface.http.request(token, f"/v26.0/{token}/{token}/{token}")
    await surface.batch(token, f"{token}/{host}?{host}={token}")
    listed = await outside(surface)
    assert listed
    assert token not in str(listed)
    assert host not in str(listed)


async def test_list_is_bounded(surface: Surface) -> None:
    """Expect no entry beyond the limit, while listed entries are still counted."""
    for number in range(MAX_COMPLAINTS + 20):
        await surface.get("me", fields=f"shoe_{number}")
    await surface.get("me", fields="shoe_0")
    listed = await outside(surface)
    assert len(listed) == MAX_COMPLAINTS
    assert listed[0] == line("GET", "me", "User has no field shoe_0", 2)


def line(method: str, edge: str, complaint: str, count: int = 1) -> dict[str, Any]:
    return {"method": method, "edge": edge, "complaint": complaint, "count": count}
