"""Tests of the switches. A mark such as `#open-spelling` is a heading of the facts page."""

import json
from pathlib import Path
from typing import Any

import pytest

from graph_simulator.switches import Switches

from .surface import Surface, first, graph_id


def test_every_switch_has_a_test() -> None:
    sources = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert [name for name in Switches().values() if name not in sources] == []


@pytest.mark.parametrize("edge", ["business_users", "system_users"])
@pytest.mark.parametrize(("code", "subcode"), [(200, None), (3, None), (100, 33)])
async def test_people_edges_are_refused_with_the_chosen_code(
    surface: Surface, edge: str, code: int, subcode: int | None
) -> None:
    """Refuse a partner that has not claimed the app, not the host (`#open-unclaimed-app`)."""
    partner = surface.partner()
    await surface.switch(**{edge: "refused", "people_refusal_code": code})
    error = await surface.error(f"{partner['id']}/{edge}", partner["tokens"]["good"])
    assert (error["code"], error.get("error_subcode")) == (code, subcode)
    other = "system_users" if edge == "business_users" else "business_users"
    assert await surface.rows(f"{partner['id']}/{other}", partner["tokens"]["good"])
    assert (await surface.get(f"{surface.host['id']}/{edge}")).status_code == 200


async def test_business_reads_carry_the_chosen_use_case(surface: Surface) -> None:
    """Expect no use case for a Business edge by default (`#open-business-limits`)."""
    path = f"{surface.host['id']}/agencies"
    assert "x-business-use-case-usage" not in (await surface.get(path)).headers
    await surface.switch(business_usage_header=True, business_usage_type="business_manager")
    usage = json.loads((await surface.get(path)).headers["x-business-use-case-usage"])
    assert usage[surface.host["id"]][0]["type"] == "business_manager"


@pytest.mark.parametrize("how", ["named", "lower", "absent"])
async def test_words_are_in_lower_case_or_absent(surface: Surface, how: str) -> None:
    """Change user_type and access_status (`#open-spelling`)."""
    partner = surface.partner()
    await surface.switch(user_type=how, access_status=how)
    account = graph_id(first(partner, "ad_account"))
    people = await surface.rows(
        f"{account}/assigned_users",
        partner["tokens"]["good"],
        business=partner["id"],
        fields="id,user_type",
    )
    shares = await surface.rows(f"{account}/agencies", fields="id,access_status")
    spell: dict[str, Any] = {"named": str.upper, "lower": str.lower, "absent": lambda _word: None}
    assert {row.get("user_type") for row in people} == {
        spell[how]("business_user"),
        spell[how]("system_user"),
    }
    assert {row.get("access_status") for row in shares} <= {
        spell[how]("confirmed"),
        spell[how]("pending"),
    }


@pytest.mark.parametrize(
    ("code", "switch", "default"),
    [
        (1, "http_status_1", 500),
        (2, "http_status_2", 500),
        (4, "http_status_4", 403),
        (17, "http_status_17", 400),
        (32, "http_status_32", 403),
        (190, "http_status_190", 400),
        (200, "http_status_200", 403),
        (294, "http_status_200", 403),
    ],
)
async def test_http_status_of_each_code_follows_its_switch(
    surface: Surface, code: int, switch: str, default: int
) -> None:
    """Change the status of each code (`#open-http-statuses`)."""
    await surface.fault({"error": {"code": code}})
    assert (await surface.get("me")).status_code == default
    await surface.switch(**{switch: 401})
    assert (await surface.get("me")).status_code == 401


async def test_status_of_a_fault_rule_is_not_switched(surface: Surface) -> None:
    await surface.switch(http_status_2=401)
    await surface.fault({"error": {"code": 2, "http_status": 503}})
    assert (await surface.get("me")).status_code == 503


async def test_app_tokens_are_refused_if_switched_on(surface: Surface) -> None:
    """Simulate an app that is set up as native (`#debug-token`)."""
    token = surface.partner()["tokens"]["good"]
    await surface.switch(app_tokens_refused=True)
    error = await surface.error("debug_token", surface.app_token, input_token=token)
    assert error["code"] == 190


async def test_employee_reads_people_unless_switched_off(surface: Surface) -> None:
    """Refuse the employee system user. The admin always reads people edges."""
    partner = surface.partner()
    path = f"{partner['id']}/business_users"
    assert await surface.rows(path, partner["tokens"]["employee"])
    await surface.switch(employee_reads_people=False)
    assert (await surface.error(path, partner["tokens"]["employee"]))["code"] == 200
    assert await surface.rows(path, partner["tokens"]["good"])


async def test_partner_details_are_absent_if_switched_off(surface: Surface) -> None:
    """Expect only the name of a partner, but all fields of the own business (`#plan-partners`)."""
    fields = "id,name,verification_status,link,created_time"
    await surface.switch(partner_details=False)
    rows = await surface.rows(f"{surface.host['id']}/agencies", fields=fields)
    assert all(set(row) == {"id", "name"} for row in rows)
    assert len(await surface.read(surface.host["id"], fields=fields)) == 5


async def test_unversioned_switch_sets_the_version(surface: Surface) -> None:
    """Set what Meta reads from the app's settings (`#versions`)."""
    await surface.switch(unversioned="v24.0")
    answer = await surface.http.get("/me", params={"access_token": surface.host["token"]})
    assert answer.headers["facebook-api-version"] == "v24.0"
    assert (await surface.get("me")).headers["facebook-api-version"] == "v26.0"


async def test_usage_headers_are_absent_if_switched_off(surface: Surface) -> None:
    """Simulate an app with few calls, which gets no headers (`#usage-headers`)."""
    await surface.switch(usage_headers="never")
    account = graph_id(first(surface.partner(), "ad_account"))
    headers = (await surface.get(account)).headers
    assert not [name for name in headers if "usage" in name]
