"""Tests of versions, headers, JSON format and the errors of invalid requests."""

import pytest

from .surface import Surface, first, graph_id


@pytest.mark.parametrize(
    ("path", "served"),
    [("/v26.0/me", "v26.0"), ("/v25.0/me", "v25.0"), ("/me", "v26.0"), ("/v3.1/me", "v21.0")],
)
async def test_header_reports_the_version_that_served_the_call(
    surface: Surface, path: str, served: str
) -> None:
    """Expect the app's version without a version, the oldest supported for an expired version."""
    answer = await surface.http.get(path, params={"access_token": surface.host["token"]})
    assert answer.status_code == 200
    assert answer.headers["facebook-api-version"] == served


async def test_future_version_is_an_unknown_path(surface: Surface) -> None:
    answer = await surface.http.get("/v99.0/me", params={"access_token": surface.host["token"]})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == 2500
    assert answer.json()["error"]["message"].startswith("Unknown path components: /")


async def test_served_version_changes_only_in_the_header(surface: Surface) -> None:
    await surface.switch(served_version="v27.0")
    assert (await surface.get("me")).headers["facebook-api-version"] == "v27.0"


async def test_answers_are_formatted_like_metas(surface: Surface) -> None:
    """Expect escaped slashes, at signs and non-ASCII characters, and dates with +0000."""
    partner = surface.partner()
    answer = await surface.get(
        f"{partner['id']}/business_users", partner["tokens"]["good"], fields="name,email", limit=3
    )
    assert "\\u0040" in answer.text
    assert "@" not in answer.text
    assert answer.text.isascii()
    assert "http:\\/\\/" in answer.text
    created = (await surface.read(surface.host["id"], fields="created_time"))["created_time"]
    assert created.endswith("+0000")
    for header in ("x-app-usage", "x-fb-trace-id", "facebook-api-version"):
        assert header in answer.headers


async def test_missing_unparsable_and_unknown_token_have_different_errors(surface: Surface) -> None:
    assert (await surface.error("me", ""))["code"] == 2500
    answer = await surface.get("me", "not-a-token")
    assert answer.json()["error"]["code"] == 190
    assert "Cannot parse" in answer.json()["error"]["message"]
    assert answer.headers["www-authenticate"].startswith('OAuth "Facebook Platform"')
    assert (await surface.error("me", "EAA" + "x" * 150))["code"] == 190


async def test_token_is_read_from_header_or_query(surface: Surface) -> None:
    token = surface.host["token"]
    by_query = await surface.http.get("/v26.0/me", params={"access_token": token})
    assert by_query.json() == (await surface.get("me", token)).json()


async def test_unknown_field_is_refused_even_on_an_empty_list(surface: Surface) -> None:
    """Expect code 100 with the field and the node type."""
    message = (await surface.error(f"{surface.host['id']}/client_pixels", fields="id,shoe"))[
        "message"
    ]
    assert message == "(#100) Tried accessing nonexisting field (shoe) on node type (AdsPixel)"
    nested = await surface.error(f"{surface.host['id']}/agencies", fields="id,primary_page{x}")
    assert nested["code"] == 100


async def test_missing_business_bad_id_alias_and_unknown_path_are_refused(surface: Surface) -> None:
    partner = surface.partner()
    account = graph_id(first(partner, "ad_account"))
    token = partner["tokens"]["good"]
    missing = await surface.error(f"{account}/assigned_users", token)
    assert (missing["code"], "business is required" in missing["message"]) == (100, True)
    gone = await surface.error("999999999999999")
    assert (gone["code"], gone["error_subcode"], gone["type"]) == (100, 33, "GraphMethodException")
    assert (await surface.error("someone"))["code"] == 803
    unknown = await surface.error(f"{partner['id']}/nothing", token)
    assert unknown["code"] == 2500
    bare = await surface.error(account.removeprefix("act_"), token)
    assert bare["error_subcode"] == 33
    assert (await surface.error("me", token, fields="id,name{"))["code"] == 2500


async def test_ids_is_refused_and_if_none_match_ignored(surface: Surface) -> None:
    """Expect HTTP 500 with code 100 for ids, and a full answer despite a matching ETag."""
    answer = await surface.get("", ids="1,2")
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == 100
    in_batch = await surface.batch(surface.host["token"], "?ids=1,2")
    assert in_batch[0]["code"] == 500
    plain = await surface.get("me")
    again = await surface.http.get(
        "/v26.0/me",
        params={"access_token": surface.host["token"]},
        headers={"If-None-Match": plain.headers["etag"]},
    )
    assert again.status_code == 200


@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_writes_are_refused_and_counted(surface: Surface, method: str) -> None:
    """Expect each write in the counter, which shows a test that its client only reads."""
    answer = await surface.http.request(
        method,
        f"/v26.0/{surface.host['id']}/agencies",
        params={"access_token": surface.host["token"], "business": surface.partner()["id"]},
    )
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == 10
    assert (await surface.calls())["writes_refused"] == 1


async def test_writes_inside_a_batch_are_refused(surface: Surface) -> None:
    """Send a write as an operation. A batch is the only POST that is a read."""
    operations = '[{"method":"POST","relative_url":"me","body":"name=x"}]'
    answer = await surface.http.post(
        "/v26.0/", data={"access_token": surface.host["token"], "batch": operations}
    )
    assert answer.json()[0]["code"] == 403
    assert (await surface.calls())["writes_refused"] == 1


async def test_counters_contain_no_token(surface: Surface) -> None:
    """Expect edges, owners and parameter names, without tokens and values."""
    await surface.http.request("DELETE", "/__simulator__/calls")
    await surface.read(f"{surface.host['id']}/agencies", limit=1)
    await surface.batch(surface.host["token"], "me", "app?fields=id")
    calls = await surface.calls()
    assert (calls["http_requests"], calls["counted_calls"], calls["batches"]) == (2, 3, 1)
    assert calls["by_edge"] == {"agencies": 1, "me": 1, "app": 1}
    assert calls["by_token_owner"] == {"host/good": 3}
    assert calls["recent"][0]["params"] == ["limit"]
    assert surface.host["token"] not in str(calls)
