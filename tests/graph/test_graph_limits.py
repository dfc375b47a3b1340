"""Rate limits: calls that are slowed down, blocked and let through."""

import asyncio
import json

import httpx
import pytest

from partner_connector.graph import GraphClient, LimitScope, Read, Throttled, answer_to, edges

from .budget_store import Clock, app_usage_reply, expect_throttled, use_case_header
from .meta import BASE_URL, Meta, error, reply


async def test_calls_slow_down_near_app_limit_and_stop_at_it() -> None:
    """Share the app's budget among all readers, and continue after the reported wait."""
    clock = Clock()
    meta = Meta(app_usage_reply(80), app_usage_reply(100), reply({}))
    client = meta.client(clock=clock)

    await client.reader("ONE").get(edges.me())
    assert meta.sleeps == []
    await client.reader("TWO").get(edges.me())
    assert meta.sleeps == [pytest.approx(0.2)]

    throttled = await expect_throttled(client, edges.me())
    assert (throttled.resume_after, throttled.scope) == (60.0, LimitScope.APP)
    assert throttled.transient
    assert len(meta.requests) == 2

    clock.now += 60.0
    await client.reader("THREE").get(edges.me())
    assert len(meta.requests) == 3


async def test_concurrency_falls_near_the_limit() -> None:
    """Restore the concurrency when usage falls or the report is an hour old."""
    clock = Clock()
    shares = [74, 80, 90, 99, 10, 90]
    meta = Meta(*(app_usage_reply(share) for share in shares), reply({}))
    client = meta.client(concurrency=10, clock=clock)
    seen = []
    for _ in shares:
        await client.reader("T").get(edges.me())
        seen.append(client.calls_at_once)
    assert seen == [10, 8, 4, 1, 10, 4]
    clock.now += 3600.0
    await client.reader("T").get(edges.me())
    assert client.calls_at_once == 10


async def test_server_error_halves_concurrency() -> None:
    """Keep the concurrency after a refusal."""
    meta = Meta(error(2, status=500), reply({}))
    client = meta.client(concurrency=8)
    await client.reader("T").get(edges.me())
    assert client.calls_at_once == 4
    meta = Meta(error(200))
    client = meta.client(concurrency=8)
    with pytest.raises(Exception, match="code 200"):
        await client.reader("T").get(edges.me())
    assert client.calls_at_once == 8


async def test_throttled_token_does_not_block_other_tokens() -> None:
    """Block the account in every reader that names it; without a name, only its reader."""
    meta = Meta(error(17), error(17), reply({}))
    client = meta.client(clock=Clock())
    nameless = client.reader("SECRET")

    await expect_throttled(client, edges.me(), account="a")
    with pytest.raises(Throttled):
        await nameless.get(edges.me())
    assert len(meta.requests) == 2

    again = await expect_throttled(client, Read("5"), account="a")
    assert (again.resume_after, again.scope) == (60.0, LimitScope.TOKEN)
    with pytest.raises(Throttled):
        await nameless.get(edges.me())
    assert len(meta.requests) == 2
    await client.reader("T", account="b").get(edges.me())
    await client.reader("SECRET").get(edges.me())
    assert "SECRET" not in repr(client.budgets)


async def test_blocked_ad_account_is_left_out_of_batch() -> None:
    """Read the other accounts of the batch and the token. Report each refusal once."""
    item = {"code": 200, "body": "{}"}
    throttled_item = {
        "code": 400,
        "body": json.dumps({"error": {"code": 80004, "error_subcode": 2446079, "message": "m"}}),
        "headers": [
            {"name": "x-business-use-case-usage", "value": use_case_header("7", 100, minutes=9)}
        ],
    }
    meta = Meta(reply([throttled_item, item]), reply([item]))
    throttled_scopes: list[str] = []
    reader = meta.client(clock=Clock(), on_throttle=throttled_scopes.append).reader(
        "T", account="a"
    )
    reads = [edges.assigned_users("act_7", "1"), edges.assigned_users("act_8", "1")]

    first, second = await reader.batch([answer_to(read) for read in reads])
    assert isinstance(first, Throttled)
    assert (first.resume_after, first.scope) == (540.0, LimitScope.AD_ACCOUNT)
    assert second == {}

    first, second = await reader.batch([answer_to(read) for read in reads])
    assert isinstance(first, Throttled)
    assert (first.resume_after, first.http_status) == (540.0, None)
    assert second == {}
    assert [each["relative_url"][:5] for each in meta.operations()] == ["act_8"]

    with pytest.raises(Throttled):
        await reader.get(Read("act_7"))
    assert len(meta.requests) == 2
    assert throttled_scopes == ["ad_account"]


async def test_batch_of_blocked_objects_only_is_not_sent() -> None:
    meta = Meta(error(80004))
    client = meta.client(clock=Clock())
    await expect_throttled(client, Read("act_7"))
    (outcome,) = await client.reader("U").batch([answer_to(Read("act_7"))])
    assert isinstance(outcome, Throttled)
    assert len(meta.requests) == 1


async def test_report_about_another_object_applies_to_the_reading_token() -> None:
    """Follow Meta, which names use cases by the token's business
    (`docs/reference/graph-facts.md#usage-headers`).
    """
    meta = Meta(
        reply({}, x_business_use_case_usage=use_case_header("999", 100, minutes=2)), reply({})
    )
    client = meta.client(clock=Clock())
    reported, other = client.reader("T"), client.reader("U")

    await reported.get(Read("act_7"))
    with pytest.raises(Throttled) as caught:
        await reported.get(Read("5"))
    assert caught.value.resume_after == 120.0
    await other.get(Read("5"))
    with pytest.raises(Throttled):
        await other.get(Read("999"))
    assert len(meta.requests) == 2


async def test_limit_of_another_app_does_not_block_own_app() -> None:
    meta = Meta(error(4), reply({}))
    client = meta.client(clock=Clock())
    await expect_throttled(client, edges.me(), app_id="12345")
    await client.reader("OURS").get(edges.me())
    assert list(client.budgets) == ["app:12345"]


async def test_call_that_waits_for_slot_checks_limit_again() -> None:
    """Refuse calls whose budget is used up while they wait."""
    sent = 0

    class Slow(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            nonlocal sent
            sent += 1
            await asyncio.sleep(0.01)
            return error(4)

    async with httpx.AsyncClient(base_url=BASE_URL, transport=Slow()) as http:
        client = GraphClient(http, app_id="1", concurrency=1)
        reads = (client.reader(f"T{n}").get(edges.me()) for n in range(5))
        outcomes = await asyncio.gather(*reads, return_exceptions=True)

    assert all(isinstance(outcome, Throttled) for outcome in outcomes)
    assert sent == 1


async def test_number_of_budgets_in_memory_is_limited() -> None:
    """Keep the newest 1024 budgets."""
    clock = Clock()
    answers = (
        reply({}, x_business_use_case_usage=use_case_header(str(n), 80, minutes=0))
        for n in range(1100)
    )
    client = Meta(*answers).client(clock=clock)
    for n in range(1100):
        clock.now += 1.0
        await client.reader("T").get(Read(str(n)))
    assert len(client.budgets) == 1024
    assert "1099/ads_management" in client.budgets
    assert "0/ads_management" not in client.budgets


async def test_block_is_kept_in_memory_before_mere_usage() -> None:
    clock = Clock()
    answers = (
        reply({}, x_business_use_case_usage=use_case_header(str(n), 80 if n else 100, minutes=600))
        for n in range(1100)
    )
    client = Meta(*answers).client(clock=clock)
    for n in range(1100):
        clock.now += 1.0
        await client.reader("T").get(Read(str(n)))
    assert len(client.budgets) == 1024
    assert "0/ads_management" in client.budgets
