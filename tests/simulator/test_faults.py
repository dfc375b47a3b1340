"""Tests of faults, throttling and downtime.

A mark such as `#open-http-statuses` is a heading of `docs/reference/graph-facts.md`.
"""

import json
import time
from typing import Any

import pytest

from .surface import Surface, first, graph_id


async def test_fault_rule_applies_after_and_times(surface: Surface) -> None:
    """Use `after`, `times` and all keys of the error object."""
    error = {"code": 2, "subcode": 99, "http_status": 503, "message": "busy", "error_user_msg": "x"}
    rule = await surface.fault({"error": error}, match={"edge": "me"}, after=1, times=2)
    statuses = [(await surface.get("me")).status_code for _ in range(5)]
    assert statuses == [200, 503, 503, 200, 200]
    known = (await surface.http.get(f"/__simulator__/faults/{rule}")).json()
    assert (known["seen"], known["hits"]) == (5, 2)
    await surface.http.delete(f"/__simulator__/faults/{rule}")
    await surface.fault({"error": error})
    body = await surface.error("me")
    assert (body["code"], body["error_subcode"], body["is_transient"]) == (2, 99, True)
    assert body["error_user_msg"] == "x"
    await surface.http.delete("/__simulator__/faults")
    assert (await surface.get("me")).status_code == 200


@pytest.mark.parametrize(
    ("fault", "status", "text"),
    [
        ({"http": 502, "body": "<html>bad gateway</html>"}, 502, "<html>bad gateway</html>"),
        ({"body": "<html>sign in</html>"}, 200, "<html>sign in</html>"),
        ({"body": ""}, 200, ""),
        ({"http": 500, "body": "[]", "truncate_body": 1}, 500, "["),
        ({"empty_body": True}, 200, ""),
        ({"service_unavailable_200": True}, 200, "Service Unavailable"),
        ({"ok_with_error_body": {"code": 2}}, 200, None),
    ],
)
async def test_faults_replace_the_answer(
    surface: Surface, fault: dict[str, Any], status: int, text: str | None
) -> None:
    """Expect HTML, empty bodies and errors with status 200, alone and inside a batch."""
    await surface.fault(fault, match={"edge": "me"})
    answer = await surface.get("me")
    (inner,) = await surface.batch(surface.host["token"], "me")
    assert answer.status_code == inner["code"] == status
    if text is None:
        assert answer.json()["error"]["code"] == json.loads(inner["body"])["error"]["code"] == 2
    else:
        assert answer.text == inner["body"] == text


async def test_truncate_body_cuts_the_answer(surface: Surface) -> None:
    """Truncate a single answer, an operation of a batch, and the whole batch."""
    token = surface.host["token"]
    whole = (await surface.get("me")).text
    await surface.fault({"truncate_body": 9}, match={"edge": "me"})
    cut = await surface.get("me")
    assert (cut.status_code, cut.text) == (200, whole[:9])
    assert cut.headers["facebook-api-version"] == "v26.0"
    app, me = await surface.batch(token, "app", "me")
    assert json.loads(app["body"])["id"] == surface.truth["app"]["id"]
    assert me["body"] == whole[:9]
    await surface.http.delete("/__simulator__/faults")
    await surface.fault({"truncate_body": 9}, match={"edge": "batch"})
    form = {"access_token": token, "batch": '[{"method":"GET","relative_url":"me"}]'}
    answer = await surface.http.post("/v26.0/", data=form)
    assert (answer.status_code, answer.text) == (200, '[{"code":')
    assert (await surface.get("me")).text == whole
    await surface.http.delete("/__simulator__/faults")
    await surface.fault({"truncate_body": 5, "error": {"code": 2}})
    assert (await surface.get("me")).text == '{"err'
    await surface.http.delete("/__simulator__/faults")
    await surface.fault({"truncate_body": 5000})
    assert (await surface.get("me")).text == whole


async def test_every_fault_can_apply_to_a_whole_batch(surface: Surface) -> None:
    """Expect a rule for `batch` to change the batch and none of its operations."""
    form = {
        "access_token": surface.host["token"],
        "batch": '[{"method":"GET","relative_url":"me"}]',
    }
    for fault, status, text in (
        ({"http": 502, "body": "gateway"}, 502, "gateway"),
        ({"body": "<html>"}, 200, "<html>"),
        ({"empty_body": True}, 200, ""),
        ({"service_unavailable_200": True}, 200, "Service Unavailable"),
    ):
        await surface.fault(fault, match={"edge": "batch"}, times=1)
        answer = await surface.http.post("/v26.0/", data=form)
        assert (answer.status_code, answer.text) == (status, text)
    await surface.fault({"usage": {"x-app-usage": "full"}}, match={"edge": "batch"}, times=1)
    answer = await surface.http.post("/v26.0/", data=form)
    assert answer.headers["x-app-usage"] == "full"
    assert answer.json()[0]["code"] == 200


async def test_null_batch_item_applies_to_operations_only(surface: Surface) -> None:
    """Expect null for the operation, and a normal answer to a single call."""
    await surface.fault({"null_batch_item": True}, match={"edge": "me"}, times=1)
    assert (await surface.get("me")).status_code == 200
    answers = await surface.batch(surface.host["token"], "app", "me", "me")
    assert [answer and answer["code"] for answer in answers] == [200, None, 200]


async def test_rules_match_by_token_path_expansion_and_whole_batch(surface: Surface) -> None:
    """Match one partner's token, one asset, one expanded edge, and the whole batch."""
    one, other = surface.partner("agency"), surface.partner("client")
    token = one["tokens"]["good"]
    await surface.fault({"http": 500}, match={"token": token})
    assert (await surface.get("me", token)).status_code == 500
    assert (await surface.get("me", other["tokens"]["good"])).status_code == 200
    listed = (await surface.http.get("/__simulator__/faults")).text
    assert token not in listed
    await surface.http.delete("/__simulator__/faults")
    account = graph_id(first(one, "ad_account"))
    await surface.fault({"http": 500}, match={"path_prefix": account})
    assert (await surface.get(account, token)).status_code == 500
    await surface.http.delete("/__simulator__/faults")
    await surface.fault({"http": 500}, match={"expands": "agencies"})
    path = f"{surface.host['id']}/owned_ad_accounts"
    assert (await surface.get(path, fields="id,agencies{id}")).status_code == 500
    assert (await surface.get(path, fields="id")).status_code == 200
    await surface.http.delete("/__simulator__/faults")
    await surface.fault({"error": {"code": 960}}, match={"edge": "batch"})
    form = {"access_token": token, "batch": '[{"method":"GET","relative_url":"me"}]'}
    whole = await surface.http.post("/v26.0/", data=form)
    assert whole.json()["error"]["code"] == 960


async def test_probability_is_repeatable(surface: Surface) -> None:
    """Expect the same seed to change the same calls."""
    patterns = []
    for _ in range(2):
        await surface.http.post("/__simulator__/reset")
        await surface.fault({"http": 500}, probability=0.5)
        patterns.append([(await surface.get("me")).status_code for _ in range(20)])
    assert patterns[0] == patterns[1]
    assert set(patterns[0]) == {200, 500}


async def test_delay_and_latency_slow_answers_down(surface: Surface) -> None:
    """Add a delay by a rule, and latency for all requests."""
    await surface.fault({"delay_seconds": 0.05}, match={"edge": "me"}, times=1)
    await surface.switch(latency_seconds=0.05)
    began = time.perf_counter()
    assert (await surface.get("me")).status_code == 200
    assert time.perf_counter() - began >= 0.1


async def test_down_is_503_html_for_everything(surface: Surface) -> None:
    """Expect 503 from Meta, while the control surface works."""
    await surface.http.post("/__simulator__/down", json={"down": True})
    answer = await surface.get("me")
    assert answer.status_code == 503
    assert answer.headers["content-type"].startswith("text/html")
    await surface.http.post("/__simulator__/down", json={"down": False})
    assert (await surface.get("me")).status_code == 200


async def test_invalid_rules_are_refused(surface: Surface) -> None:
    """Refuse mistyped keys and values, which would have no effect."""
    for rule in (
        {},
        {"fault": {"htpp": 5}},
        {"fault": {"http": 5}, "match": {"egde": "me"}},
        {"fault": {"http": "5"}},
        {"fault": {"body": 5}},
        {"fault": {"body": None}},
        {"fault": {"http": 500, "body": {"error": 1}}},
        {"fault": {"truncate_body": "9"}},
        {"fault": {"truncate_body": -1}},
        {"fault": {"truncate_body": True}},
        {"fault": {"slow_body": 1}},
    ):
        assert (await surface.http.post("/__simulator__/faults", json=rule)).status_code == 422


async def test_rule_sets_usage_headers(surface: Surface) -> None:
    """Add a header to a successful answer and to an error."""
    shown = {"x-business-use-case-usage": {"1": [{"type": "pages", "call_count": 97}]}}
    await surface.fault({"usage": shown}, times=1)
    answer = await surface.get("me")
    assert answer.status_code == 200
    assert json.loads(answer.headers["x-business-use-case-usage"]) == {
        "1": [{"type": "pages", "call_count": 97}]
    }
    await surface.fault({"usage": shown, "error": {"code": 4}}, times=1)
    assert "x-business-use-case-usage" in (await surface.get("me")).headers


async def test_limit_without_meter_is_simulated_by_a_fault(surface: Surface) -> None:
    """Expect code 613 with usage headers from a rule, since no meter counts that limit."""
    await surface.fault({"error": {"code": 613, "subcode": 1487742}}, times=1)
    answer = await surface.get("me")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, 613)
    assert answer.json()["error"]["is_transient"] is True
    assert "x-app-usage" in answer.headers


@pytest.mark.parametrize(
    ("switch", "kind", "code", "status", "subcode"),
    [
        ("app_call_limit", None, 4, 403, None),
        ("token_call_limit", None, 17, 400, None),
        ("ad_account_call_limit", "ad_account", 80004, 400, 2446079),
        ("page_call_limit", "page", 80001, 400, None),
        ("catalog_call_limit", "product_catalog", 80009, 400, None),
    ],
)
async def test_usage_grows_in_headers_until_calls_are_refused(
    surface: Surface, switch: str, kind: str | None, code: int, status: int, subcode: int | None
) -> None:
    """Expect growing usage, and headers also in the refusal of the call over the limit."""
    partner = surface.partner()
    path = "me" if kind is None else graph_id(first(partner, kind))
    await surface.switch(**{switch: 2})
    token = partner["tokens"]["good"]
    answers = [await surface.get(path, token) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, status]
    error = answers[2].json()["error"]
    assert (error["code"], error.get("error_subcode")) == (code, subcode)
    if kind is None:
        assert "x-app-usage" in answers[2].headers
        return
    usage = [json.loads(a.headers["x-business-use-case-usage"]) for a in answers]
    counts = [next(iter(one.values()))[0]["call_count"] for one in usage]
    assert counts == [50, 100, 150]
    (last,) = next(iter(usage[2].values()))
    assert last["estimated_time_to_regain_access"] == 60


async def test_block_ends_with_its_window_unless_refused_calls_extend_it(surface: Surface) -> None:
    """Let the window end, then set the regain time and the extension."""
    await surface.switch(
        token_call_limit=1, throttle_window_seconds=0.15, business_usage_header=True
    )
    assert (await surface.get("me")).status_code == 200
    refused = await surface.get("me")
    assert refused.json()["error"]["code"] == 17
    usage = json.loads(refused.headers["x-business-use-case-usage"])
    assert usage[surface.host["id"]][0]["estimated_time_to_regain_access"] == 1
    time.sleep(0.2)  # noqa: ASYNC251 - the clock has to move, nothing else runs
    assert (await surface.get("me")).status_code == 200
    await surface.switch(throttle_extension_seconds=3600.0, regain_minutes=7)
    refused = await surface.get("me")
    usage = json.loads(refused.headers["x-business-use-case-usage"])
    assert usage[surface.host["id"]][0]["estimated_time_to_regain_access"] == 7
    time.sleep(0.2)  # noqa: ASYNC251
    assert (await surface.get("me")).json()["error"]["code"] == 17


async def test_switch_sets_http_status_of_code(surface: Surface) -> None:
    """Change the statuses of two codes (`#open-http-statuses`)."""
    token = surface.partner()["tokens"]["expired"]
    await surface.switch(http_status_190=401, http_status_2=200)
    assert (await surface.get("me", token)).status_code == 401
    await surface.fault({"error": {"code": 2}}, times=1)
    assert (await surface.get("me")).status_code == 200
