"""Tests of paging, expansion and batches."""

import json
from urllib.parse import parse_qs, urlsplit

import pytest

from .surface import Surface, first, graph_id


async def all_ids(surface: Surface, path: str, token: str, limit: int) -> list[list[str]]:
    """Read all pages as a client does: by cursor, while there is a next."""
    pages: list[list[str]] = []
    params: dict[str, str] = {}
    while True:
        answer = await surface.read(path, token, limit=limit, **params)
        pages.append([row["id"] for row in answer["data"]])
        if "next" not in answer.get("paging", {}):
            return pages
        params = {"after": answer["paging"]["cursors"]["after"]}


async def test_pages_make_the_complete_list(surface: Surface) -> None:
    """Expect each person once, and a last page with a cursor but without next."""
    partner = surface.partner()
    path, token = f"{partner['id']}/business_users", partner["tokens"]["good"]
    pages = await all_ids(surface, path, token, 4)
    assert [len(page) for page in pages] == [4, 4, 3]
    assert sorted(sum(pages, [])) == sorted(person["id"] for person in partner["people"])  # noqa: RUF017
    last = await surface.read(path, token, limit=100)
    assert last["paging"]["cursors"]["after"].startswith("QVFI")
    assert "next" not in last["paging"]


@pytest.mark.parametrize("switch", ["short_pages", "empty_pages"])
async def test_short_and_empty_pages_still_have_next(surface: Surface, switch: str) -> None:
    """Expect complete lists although pages are short or empty."""
    partner = surface.partner()
    await surface.switch(**{switch: True})
    pages = await all_ids(surface, f"{partner['id']}/business_users", partner["tokens"]["good"], 4)
    lengths = [len(page) for page in pages]
    assert (0 in lengths[:-1]) if switch == "empty_pages" else (max(lengths) == 2)
    joined = [one for page in pages for one in page]
    assert sorted(joined) == sorted(person["id"] for person in partner["people"])


async def test_next_contains_the_token_and_previous_returns_to_the_first_page(
    surface: Surface,
) -> None:
    """Expect the token in the URL, the reason why clients build URLs themselves."""
    partner = surface.partner()
    path, token = f"{partner['id']}/business_users", partner["tokens"]["good"]
    one = await surface.read(path, token, limit=4, fields="id")
    query = parse_qs(urlsplit(one["paging"]["next"]).query)
    assert query["access_token"] == [token]
    assert query["fields"] == ["id"]
    two = (await surface.http.get(one["paging"]["next"])).json()
    back = (await surface.http.get(two["paging"]["previous"])).json()
    assert back["data"] == one["data"]


async def test_empty_edges_have_no_paging(surface: Surface) -> None:
    partner = surface.partner()
    answer = await surface.read(f"{partner['id']}/owned_apps", partner["tokens"]["good"])
    assert answer == {"data": []}


async def test_invalid_foreign_and_outdated_cursors_are_2642(surface: Surface) -> None:
    """Try nonsense, a cursor of another edge, and one whose row was removed."""
    partner = surface.partner()
    path, token = f"{partner['id']}/business_users", partner["tokens"]["good"]
    after = (await surface.read(path, token, limit=1))["paging"]["cursors"]["after"]
    assert (await surface.error(path, token, after="nonsense"))["code"] == 2642
    assert (await surface.error(f"{partner['id']}/system_users", token, after=after))[
        "code"
    ] == 2642
    await surface.mutate("leave", person=partner["people"][0]["id"])
    assert (await surface.error(path, token, after=after))["code"] == 2642


async def test_limit_is_lowered_or_refused(surface: Surface) -> None:
    """Test both reactions to a large limit, since Meta does not document the maximum."""
    partner = surface.partner()
    path, token = f"{partner['id']}/business_users", partner["tokens"]["good"]
    await surface.switch(max_page_limit=3)
    assert len(await surface.rows(path, token, limit=100)) == 3
    await surface.switch(over_limit="refuse")
    assert (await surface.error(path, token, limit=100))["code"] == 100
    assert (await surface.error(path, token, limit="0"))["code"] == 100


async def test_too_much_data_is_code_1_until_the_limit_is_small(surface: Surface) -> None:
    """Expect HTTP 500 until the limit is halved; one row always passes. Then use a probability."""
    partner = surface.partner()
    path, token = f"{partner['id']}/business_users", partner["tokens"]["good"]
    await surface.switch(data_budget=20)
    answer = await surface.get(path, token, limit=16, fields="id,name")
    assert answer.status_code == 500
    assert answer.json()["error"]["message"].startswith("Please reduce the amount of data")
    assert await surface.rows(path, token, limit=8, fields="id,name")
    nested = "assigned_ad_accounts.limit(100){id,tasks}"
    assert await surface.rows(path, token, limit=1, fields=nested)
    assert (await surface.error(path, token, limit=2, fields=nested))["code"] == 1
    await surface.switch(data_budget=0, data_budget_chance=1.0)
    assert (await surface.error(path, token, limit=2))["code"] == 1
    assert (await surface.get(path, token, limit=1)).status_code == 200


async def test_expansion_has_arguments_and_its_own_pages(surface: Surface) -> None:
    """Use `.business()` and `.limit()` inside fields, and read further pages on the edge."""
    partner = surface.partner()
    token, account = partner["tokens"]["good"], first(partner, "ad_account")
    wanted = f"id,assigned_users.business({partner['id']}).limit(2).summary(true){{id,tasks}}"
    rows = await surface.rows(f"{partner['id']}/client_ad_accounts", token, fields=wanted)
    row = next(row for row in rows if row["id"] == graph_id(account))
    nested = row["assigned_users"]
    total = len(account["system_users"]) + sum(
        person["via"] == "direct" for person in account["people"]
    )
    assert nested["summary"]["total_count"] == total
    assert set(nested["data"][0]) == {"id", "tasks"}
    rest = await surface.rows(
        f"{row['id']}/assigned_users",
        token,
        business=partner["id"],
        after=nested["paging"]["cursors"]["after"],
        limit=100,
    )
    assert len(nested["data"]) + len(rest) == total


async def test_refused_or_empty_expansion_follows_the_switches(surface: Surface) -> None:
    """Expect a refused edge to fail the read or to be omitted, and an empty edge to be absent."""
    partner = surface.partner()
    token = partner["tokens"]["good"]
    path = f"{partner['id']}/client_ad_accounts"
    wanted = f"id,assigned_users.business({partner['id']}){{id}}"
    await surface.switch(business_argument_in_expansion=False)
    assert "business is required" in (await surface.error(path, token, fields=wanted))["message"]
    await surface.switch(refused_expansion="omit")
    assert all("assigned_users" not in r for r in await surface.rows(path, token, fields=wanted))
    without = partner["people"][-1]["id"]
    fields = "id,assigned_ad_accounts{id}"
    assert await surface.read(without, token, fields=fields) == {"id": without}
    await surface.switch(empty_expansion="empty")
    assert (await surface.read(without, token, fields=fields))["assigned_ad_accounts"] == {
        "data": []
    }


async def test_batch_answers_in_order_with_mixed_codes(surface: Surface) -> None:
    """Expect a code, headers and a JSON body for each operation."""
    partner = surface.partner()
    good = partner["tokens"]["good"]
    answers = await surface.batch(
        good,
        "me?fields=id",
        "unknown",
        f"me?access_token={surface.host['token']}",
        f"me?access_token={partner['tokens']['expired']}",
        f"v25.0/{partner['id']}/business_users?fields=id%2Cname&limit=1",
    )
    assert [answer["code"] for answer in answers] == [200, 400, 200, 400, 200]
    bodies = [json.loads(answer["body"]) for answer in answers]
    assert bodies[0]["id"] == partner["system_user"]["id"]
    assert bodies[2]["id"] == surface.host["system_user"]["id"]
    assert len(bodies[4]["data"]) == 1
    names = [{header["name"].lower() for header in answer["headers"]} for answer in answers]
    assert "www-authenticate" in names[3]
    assert all("x-app-usage" in one for one in names)
    bare = await surface.batch(good, "me", include_headers="false")
    assert set(bare[0]) == {"code", "body"}


async def test_batch_fails_as_a_whole(surface: Surface) -> None:
    """Expect one error object for too many operations, no JSON, or an invalid batch token."""
    token = surface.host["token"]
    many = json.dumps([{"method": "GET", "relative_url": "me"}] * 51)
    answer = await surface.http.post("/v26.0/", data={"access_token": token, "batch": many})
    assert answer.json() == {
        "error": {
            "message": "Too many requests in batch message. Maximum batch size is 50",
            "type": "GraphBatchException",
            "fbtrace_id": answer.json()["error"]["fbtrace_id"],
        }
    }
    broken = await surface.http.post("/v26.0/", data={"access_token": token, "batch": "[{"})
    assert broken.json()["error"]["type"] == "GraphBatchException"
    invalid = surface.partner()["tokens"]["expired"]
    answer = await surface.http.post("/v26.0/", data={"access_token": invalid, "batch": "[]"})
    assert answer.json()["error"]["code"] == 190


async def test_batch_accepts_multipart_and_header_token(surface: Surface) -> None:
    """Send the form in several ways; a switch allows the token in the header."""
    form = {"batch": (None, '[{"method":"GET","relative_url":"me"}]')}
    headers = {"Authorization": f"Bearer {surface.host['token']}"}
    answer = await surface.http.post("/v26.0/", files=form, headers=headers)
    assert answer.json()[0]["code"] == 200
    await surface.switch(batch_header_token=False)
    answer = await surface.http.post("/v26.0/", files=form, headers=headers)
    assert answer.json()["error"]["code"] == 2500


async def test_operation_header_token_is_used_if_switched_on(surface: Surface) -> None:
    """Send a token in an operation's header, which Meta does not document, and other headers."""
    partner = surface.partner()
    good = partner["tokens"]["good"]

    async def who(headers: object) -> str:
        operation = {"method": "GET", "relative_url": "me?fields=id", "headers": headers}
        form = {"access_token": surface.host["token"], "batch": json.dumps([operation])}
        answer = await surface.http.post("/v26.0/", data=form)
        return str(json.loads(answer.json()[0]["body"])["id"])

    own = [{"name": "Authorization", "value": f"Bearer {good}"}]
    host, theirs = surface.host["system_user"]["id"], partner["system_user"]["id"]
    assert await who(own) == theirs
    for other in ([], [{"name": "If-None-Match", "value": "x"}], "nonsense", ["nonsense"], None):
        assert await who(other) == host
    await surface.switch(batch_operation_headers=False)
    assert await who(own) == host


async def test_operation_token_is_counted_and_refused_separately(surface: Surface) -> None:
    """Expect calls counted by owner, one refusal, and the URL's token before the header's."""
    partner = surface.partner()
    good, expired = partner["tokens"]["good"], partner["tokens"]["expired"]
    invalid = [{"name": "authorization", "value": f"Bearer {expired}"}]
    operations = [
        {"method": "GET", "relative_url": "me"},
        {"method": "GET", "relative_url": "me", "headers": invalid},
        {"method": "GET", "relative_url": f"me?access_token={good}", "headers": invalid},
    ]
    form = {"access_token": surface.host["token"], "batch": json.dumps(operations)}
    await surface.http.delete("/__simulator__/calls")
    answers = (await surface.http.post("/v26.0/", data=form)).json()
    assert [answer["code"] for answer in answers] == [200, 400, 200]
    assert json.loads(answers[1]["body"])["error"]["error_subcode"] == 463
    assert (await surface.calls())["by_token_owner"] == {
        "host/good": 1,
        f"{partner['id']}/expired": 1,
        f"{partner['id']}/good": 1,
    }
