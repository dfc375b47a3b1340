"""Who is slowed down, who stands still, and who goes on."""

import asyncio
import json

import httpx
import pytest

from partner_connector.graph import GraphClient, LimitScope, Read, Throttled, answer_to, edges

from .meta import BASE_URL, Meta, error, reply
from .shelf import Clock, refused, use_case, with_app_at


async def test_before_the_wall_all_walk_and_at_it_nothing_is_sent() -> None:
    """The app's budget is everybody's; after the wait that was told it goes on."""
    clock = Clock()
    meta = Meta(with_app_at(80), with_app_at(100), reply({}))
    client = meta.client(clock=clock)

    await client.reader("ONE").get(edges.me())
    assert meta.sleeps == []
    await client.reader("TWO").get(edges.me())
    assert meta.sleeps == [pytest.approx(0.2)]

    kept_back = await refused(client, edges.me())
    assert (kept_back.resume_after, kept_back.scope) == (60.0, LimitScope.APP)
    assert kept_back.transient
    assert len(meta.requests) == 2

    clock.now += 60.0
    await client.reader("THREE").get(edges.me())
    assert len(meta.requests) == 3


async def test_there_are_fewer_calls_at_once_the_nearer_the_wall() -> None:
    """And all of them again once the app has room, or once the report is old."""
    clock = Clock()
    shares = [74, 80, 90, 99, 10, 90]
    meta = Meta(*(with_app_at(share) for share in shares), reply({}))
    client = meta.client(concurrency=10, clock=clock)
    seen = []
    for _ in shares:
        await client.reader("T").get(edges.me())
        seen.append(client.calls_at_once)
    assert seen == [10, 8, 4, 1, 10, 4]
    clock.now += 3600.0
    await client.reader("T").get(edges.me())
    assert client.calls_at_once == 10


async def test_trouble_at_meta_halves_the_calls_at_once() -> None:
    """A refusal is no trouble."""
    meta = Meta(error(2, status=500), reply({}))
    client = meta.client(concurrency=8)
    await client.reader("T").get(edges.me())
    assert client.calls_at_once == 4
    meta = Meta(error(200))
    client = meta.client(concurrency=8)
    with pytest.raises(Exception, match="code 200"):
        await client.reader("T").get(edges.me())
    assert client.calls_at_once == 8


async def test_one_throttled_token_leaves_the_others_alone() -> None:
    """The same account rests wherever it is read with; without a name, only its reader."""
    meta = Meta(error(17), error(17), reply({}))
    client = meta.client(clock=Clock())
    nameless = client.reader("SECRET")

    await refused(client, edges.me(), account="a")
    with pytest.raises(Throttled):
        await nameless.get(edges.me())
    assert len(meta.requests) == 2

    again = await refused(client, Read("5"), account="a")
    assert (again.resume_after, again.scope) == (60.0, LimitScope.TOKEN)
    with pytest.raises(Throttled):
        await nameless.get(edges.me())
    assert len(meta.requests) == 2
    await client.reader("T", account="b").get(edges.me())
    await client.reader("SECRET").get(edges.me())
    assert "SECRET" not in repr(client.budgets)


async def test_a_used_up_ad_account_is_left_out_of_a_batch() -> None:
    """The others of the same batch and of the same token are read. Each refusal is told once."""
    item = {"code": 200, "body": "{}"}
    throttled = {
        "code": 400,
        "body": json.dumps({"error": {"code": 80004, "error_subcode": 2446079, "message": "m"}}),
        "headers": [{"name": "x-business-use-case-usage", "value": use_case("7", 100, minutes=9)}],
    }
    meta = Meta(reply([throttled, item]), reply([item]))
    told: list[str] = []
    reader = meta.client(clock=Clock(), on_throttle=told.append).reader("T", account="a")
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
    assert told == ["ad_account"]


async def test_a_batch_of_nothing_but_used_up_objects_is_not_sent() -> None:
    """There is nothing to ask."""
    meta = Meta(error(80004))
    client = meta.client(clock=Clock())
    await refused(client, Read("act_7"))
    (outcome,) = await client.reader("U").batch([answer_to(Read("act_7"))])
    assert isinstance(outcome, Throttled)
    assert len(meta.requests) == 1


async def test_what_is_reported_of_another_object_concerns_the_token_that_heard_it() -> None:
    """Meta's documentation keys use cases by the token's business (6.1 [D])."""
    meta = Meta(reply({}, x_business_use_case_usage=use_case("999", 100, minutes=2)), reply({}))
    client = meta.client(clock=Clock())
    heard, other = client.reader("T"), client.reader("U")

    await heard.get(Read("act_7"))
    with pytest.raises(Throttled) as caught:
        await heard.get(Read("5"))
    assert caught.value.resume_after == 120.0
    await other.get(Read("5"))
    with pytest.raises(Throttled):
        await other.get(Read("999"))
    assert len(meta.requests) == 2


async def test_another_apps_limit_is_not_ours() -> None:
    """A token that was made for another app says nothing about our app's allowance."""
    meta = Meta(error(4), reply({}))
    client = meta.client(clock=Clock())
    await refused(client, edges.me(), app_id="12345")
    await client.reader("OURS").get(edges.me())
    assert list(client.budgets) == ["app:12345"]


async def test_who_waits_for_a_slot_does_not_run_into_the_wall() -> None:
    """It was open when they came, and closed when their turn came."""
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


async def test_a_process_that_meets_many_objects_does_not_grow_for_ever() -> None:
    """The newest 1024 are kept."""
    clock = Clock()
    answers = (
        reply({}, x_business_use_case_usage=use_case(str(n), 80, minutes=0)) for n in range(1100)
    )
    client = Meta(*answers).client(clock=clock)
    for n in range(1100):
        clock.now += 1.0
        await client.reader("T").get(Read(str(n)))
    assert len(client.budgets) == 1024
    assert "1099/ads_management" in client.budgets
    assert "0/ads_management" not in client.budgets


async def test_a_block_is_not_pushed_out_by_what_is_merely_slow() -> None:
    """Forgotten, it would be run into again."""
    clock = Clock()
    answers = (
        reply({}, x_business_use_case_usage=use_case(str(n), 80 if n else 100, minutes=600))
        for n in range(1100)
    )
    client = Meta(*answers).client(clock=clock)
    for n in range(1100):
        clock.now += 1.0
        await client.reader("T").get(Read(str(n)))
    assert len(client.budgets) == 1024
    assert "0/ads_management" in client.budgets
