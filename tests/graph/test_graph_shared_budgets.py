"""Budgets shared between processes through a store, and the behaviour without the store."""

import asyncio

import pytest

from partner_connector.graph import Budget, LimitScope, Throttled, Usage, edges
from partner_connector.graph.sender import Meter

from .budget_store import NOW, Clock, MemoryBudgetStore, app_usage_reply, expect_throttled
from .meta import Meta, error, reply

APP = "app:2965389650414399"


async def test_block_of_one_process_stops_the_other() -> None:
    """Give each process its own client; they share only the store."""
    clock = Clock()
    store = MemoryBudgetStore(clock)
    first_throttled, not_throttled = Meta(error(17)), Meta(reply({}))
    one = first_throttled.client(budgets=store, clock=clock)
    other = not_throttled.client(budgets=store, clock=clock)
    await other.reader("T", account="a").get(edges.me())
    clock.now += 1.0

    await expect_throttled(one, edges.me(), account="a")
    await one.settle()
    throttled = await expect_throttled(other, edges.me(), account="a")

    assert throttled.resume_after == 60.0
    assert len(not_throttled.requests) == 1
    await other.reader("U", account="b").get(edges.me())
    clock.now += 60.0
    await other.reader("T", account="a").get(edges.me())
    assert len(not_throttled.requests) == 3


async def test_block_grows_across_processes() -> None:
    clock = Clock()
    store = MemoryBudgetStore(clock)
    for expected in (60.0, 120.0, 240.0):
        client = Meta(error(17)).client(budgets=store, clock=clock)
        error_met = await expect_throttled(client, edges.me(), account="a")
        assert error_met.resume_after == expected
        await client.settle()
        clock.now += expected + 1.0


async def test_store_is_loaded_once_a_second_and_low_usage_is_not_saved() -> None:
    """Save nothing below 75 percent."""
    clock = Clock()
    store = MemoryBudgetStore(clock)
    client = Meta(app_usage_reply(74)).client(budgets=store, clock=clock)
    reads = (client.reader(f"T{n}", account=f"a{n}").get(edges.me()) for n in range(50))
    await asyncio.gather(*reads)
    assert (store.loads, store.saves) == (1, [])
    clock.now += 0.9
    await client.reader("T").get(edges.me())
    assert store.loads == 1
    clock.now += 0.1
    await client.reader("T").get(edges.me())
    assert store.loads == 2


async def test_usage_is_saved_when_it_crosses_75_percent() -> None:
    """Save at once when usage crosses the threshold in either direction, else within a second."""
    clock = Clock()
    store = MemoryBudgetStore(clock)
    shares = [74, 76, 80, 81, 20, 10]
    meta = Meta(*(app_usage_reply(share) for share in shares), reply({}))
    client = meta.client(budgets=store, clock=clock)
    saved = []
    for step in (0.1, 0.1, 0.1, 2.0, 0.1, 0.1):
        clock.now += step
        await client.reader("T").get(edges.me())
        await client.settle()
        saved.append([round(budgets[APP].percent) for budgets in store.saves])
    # 80 is saved at the next load of the store; 81 is reported only after that.
    assert saved == [[], [76], [76], [76, 80], [76, 80, 20], [76, 80, 20]]
    assert client.budgets == {}


async def test_budget_of_token_without_account_is_not_shared() -> None:
    clock = Clock()
    store = MemoryBudgetStore(clock)
    client = Meta(error(17)).client(budgets=store, clock=clock)
    await expect_throttled(client, edges.me())
    await client.settle()
    assert store.saves == []


async def test_block_deleted_from_store_is_lifted() -> None:
    clock = Clock()
    store = MemoryBudgetStore(clock)
    meta = Meta(error(4), reply({}))
    client = meta.client(budgets=store, clock=clock)
    await expect_throttled(client, edges.me())
    await client.settle()
    store.rows.clear()
    clock.now += 1.0
    await client.reader("T").get(edges.me())
    assert len(meta.requests) == 2


async def test_ended_block_is_not_saved_again() -> None:
    """Keep the block in memory for an hour, without saving it."""
    clock = Clock()
    store = MemoryBudgetStore(clock)
    meta = Meta(error(4), app_usage_reply(10), app_usage_reply(11), app_usage_reply(12), reply({}))
    client = meta.client(budgets=store, clock=clock)
    await expect_throttled(client, edges.me())
    for _ in range(4):
        clock.now += 61.0
        await client.reader("T").get(edges.me())
        await client.settle()
    assert len(store.saves) == 1
    assert client.budgets[APP].blocks == 1


async def test_unavailable_store_stops_no_call_and_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Continue with the process's own budgets, and save them later."""
    clock = Clock()
    store = MemoryBudgetStore(clock)
    store.is_unavailable = True
    meta = Meta(reply({}), error(17), reply({}))
    client = meta.client(budgets=store, clock=clock)

    await client.reader("T", account="a").get(edges.me())
    await expect_throttled(client, edges.me(), account="a")
    await client.settle()
    clock.now += 11.0
    await expect_throttled(client, edges.me(), account="a")
    assert [record.message for record in caplog.records] == ["graph_budgets_not_shared"]
    assert len(meta.requests) == 2

    store.is_unavailable = False
    clock.now += 11.0
    await client.reader("U", account="b").get(edges.me())
    assert store.rows["token:a"].blocks == 1
    store.is_unavailable = True
    clock.now += 11.0
    await client.reader("U", account="b").get(edges.me())
    assert len(caplog.records) == 2


async def test_hanging_store_delays_a_call_for_seconds_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Do not load the store again at each call."""
    monkeypatch.setattr("partner_connector.graph.budget_cache._STORE_DEADLINE_SECONDS", 0.01)
    clock = Clock()
    store = MemoryBudgetStore(clock)
    loads = 0

    async def hang() -> dict[str, Budget]:
        nonlocal loads
        loads += 1
        await asyncio.sleep(60)
        raise AssertionError

    monkeypatch.setattr(store, "load", hang)
    client = Meta(reply({})).client(budgets=store, clock=clock)
    for _ in range(3):
        clock.now += 2.0
        await client.reader("T").get(edges.me())
    assert loads == 1


class SlowBudgetStore(MemoryBudgetStore):
    """A store whose loads return when a test allows it, with the rows of the moment of asking."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.may_return = asyncio.Event()
        self.may_return.set()

    async def load(self) -> dict[str, Budget]:
        found = await super().load()
        await self.may_return.wait()
        return found


async def test_refusal_during_load_is_not_lost() -> None:
    clock = Clock()
    store = SlowBudgetStore(clock)
    client = Meta(reply({})).client(budgets=store, clock=clock)
    store.may_return.clear()
    reading = asyncio.create_task(client.reader("T", account="a").get(edges.me()))
    await asyncio.sleep(0.01)
    client._sender.record_throttled(
        Throttled("m", scope=LimitScope.TOKEN), Meter(account="a"), subject=None
    )
    store.may_return.set()

    with pytest.raises(Throttled):
        await reading
    await client.settle()
    assert store.rows == client.budgets
    assert store.rows["token:a"].wait_at(NOW) == 60.0


async def test_lower_usage_reported_during_load_wins() -> None:
    """Prefer the report, which is newer than the stored rows."""
    clock = Clock()
    store = SlowBudgetStore(clock)
    client = Meta(app_usage_reply(90), reply({})).client(budgets=store, clock=clock)
    await client.reader("T").get(edges.me())
    await client.settle()
    clock.now += 1.0
    store.may_return.clear()
    reading = asyncio.create_task(client.reader("T").get(edges.me()))
    await asyncio.sleep(0.01)
    client._sender.record_usage([Usage("app", 10.0)], Meter())
    store.may_return.set()

    await reading
    assert client.budgets == {}
    await client.settle()
    assert store.rows[APP].percent == 10.0
