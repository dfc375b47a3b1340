"""What processes tell each other of Meta's limits, and what they do while they cannot."""

import asyncio

import pytest

from partner_connector.graph import Budget, LimitScope, Throttled, Usage, edges
from partner_connector.graph.wire import Meter

from .meta import Meta, error, reply
from .shelf import NOW, Clock, Shelf, refused, with_app_at

APP = "app:2965389650414399"


async def test_one_process_meets_the_wall_and_the_other_does_not_send() -> None:
    """Each has a client of its own; between them there is only the store."""
    clock = Clock()
    shelf = Shelf(clock)
    met, spared = Meta(error(17)), Meta(reply({}))
    one = met.client(budgets=shelf, clock=clock)
    other = spared.client(budgets=shelf, clock=clock)
    await other.reader("T", account="a").get(edges.me())
    clock.now += 1.0

    await refused(one, edges.me(), account="a")
    await one.settle()
    kept_back = await refused(other, edges.me(), account="a")

    assert kept_back.resume_after == 60.0
    assert len(spared.requests) == 1
    await other.reader("U", account="b").get(edges.me())
    clock.now += 60.0
    await other.reader("T", account="a").get(edges.me())
    assert len(spared.requests) == 3


async def test_the_next_block_is_longer_whoever_meets_it() -> None:
    """How often it happened is shared too."""
    clock = Clock()
    shelf = Shelf(clock)
    for expected in (60.0, 120.0, 240.0):
        client = Meta(error(17)).client(budgets=shelf, clock=clock)
        error_met = await refused(client, edges.me(), account="a")
        assert error_met.resume_after == expected
        await client.settle()
        clock.now += expected + 1.0


async def test_the_store_is_asked_once_a_second_and_told_only_what_matters() -> None:
    """Many calls at once, below three quarters: one look, and nothing to save."""
    clock = Clock()
    shelf = Shelf(clock)
    client = Meta(with_app_at(74)).client(budgets=shelf, clock=clock)
    reads = (client.reader(f"T{n}", account=f"a{n}").get(edges.me()) for n in range(50))
    await asyncio.gather(*reads)
    assert (shelf.loads, shelf.saves) == (1, [])
    clock.now += 0.9
    await client.reader("T").get(edges.me())
    assert shelf.loads == 1
    clock.now += 0.1
    await client.reader("T").get(edges.me())
    assert shelf.loads == 2


async def test_what_is_saved() -> None:
    """Crossing three quarters at once, more of it within a second, and falling back at once."""
    clock = Clock()
    shelf = Shelf(clock)
    shares = [74, 76, 80, 81, 20, 10]
    meta = Meta(*(with_app_at(share) for share in shares), reply({}))
    client = meta.client(budgets=shelf, clock=clock)
    saved = []
    for step in (0.1, 0.1, 0.1, 2.0, 0.1, 0.1):
        clock.now += step
        await client.reader("T").get(edges.me())
        await client.settle()
        saved.append([round(budgets[APP].percent) for budgets in shelf.saves])
    # 80 goes with the next look, in one with nothing else: 81 is heard after it.
    assert saved == [[], [76], [76], [76, 80], [76, 80, 20], [76, 80, 20]]
    assert client.budgets == {}


async def test_a_nameless_tokens_budget_is_nobody_elses() -> None:
    """There is no name under which another could find it."""
    clock = Clock()
    shelf = Shelf(clock)
    client = Meta(error(17)).client(budgets=shelf, clock=clock)
    await refused(client, edges.me())
    await client.settle()
    assert shelf.saves == []


async def test_a_block_that_is_deleted_is_lifted_everywhere() -> None:
    """The store has the last word on what was stored."""
    clock = Clock()
    shelf = Shelf(clock)
    meta = Meta(error(4), reply({}))
    client = meta.client(budgets=shelf, clock=clock)
    await refused(client, edges.me())
    await client.settle()
    shelf.rows.clear()
    clock.now += 1.0
    await client.reader("T").get(edges.me())
    assert len(meta.requests) == 2


async def test_a_block_that_is_over_is_not_written_again_with_each_answer() -> None:
    """It is remembered for an hour, but there is nothing new to tell."""
    clock = Clock()
    shelf = Shelf(clock)
    meta = Meta(error(4), with_app_at(10), with_app_at(11), with_app_at(12), reply({}))
    client = meta.client(budgets=shelf, clock=clock)
    await refused(client, edges.me())
    for _ in range(4):
        clock.now += 61.0
        await client.reader("T").get(edges.me())
        await client.settle()
    assert len(shelf.saves) == 1
    assert client.budgets[APP].blocks == 1


async def test_a_store_that_is_away_stops_nobody_and_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The process goes on with what it knows itself, and tells the others later."""
    clock = Clock()
    shelf = Shelf(clock)
    shelf.is_away = True
    meta = Meta(reply({}), error(17), reply({}))
    client = meta.client(budgets=shelf, clock=clock)

    await client.reader("T", account="a").get(edges.me())
    await refused(client, edges.me(), account="a")
    await client.settle()
    clock.now += 11.0
    await refused(client, edges.me(), account="a")
    assert [record.message for record in caplog.records] == ["graph_budgets_not_shared"]
    assert len(meta.requests) == 2

    shelf.is_away = False
    clock.now += 11.0
    await client.reader("U", account="b").get(edges.me())
    assert shelf.rows["token:a"].blocks == 1
    shelf.is_away = True
    clock.now += 11.0
    await client.reader("U", account="b").get(edges.me())
    assert len(caplog.records) == 2


async def test_a_store_that_hangs_holds_a_call_back_for_seconds_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Asking it is bounded in time, and then not repeated at each call."""
    monkeypatch.setattr("partner_connector.graph.ledger._STORE_DEADLINE_SECONDS", 0.01)
    clock = Clock()
    shelf = Shelf(clock)
    loads = 0

    async def hang() -> dict[str, Budget]:
        nonlocal loads
        loads += 1
        await asyncio.sleep(60)
        raise AssertionError

    monkeypatch.setattr(shelf, "load", hang)
    client = Meta(reply({})).client(budgets=shelf, clock=clock)
    for _ in range(3):
        clock.now += 2.0
        await client.reader("T").get(edges.me())
    assert loads == 1


class SlowShelf(Shelf):
    """Its answers arrive when told, as they were when it was asked."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.arrives = asyncio.Event()
        self.arrives.set()

    async def load(self) -> dict[str, Budget]:
        found = await super().load()
        await self.arrives.wait()
        return found


async def test_what_is_heard_while_the_store_is_asked_is_not_lost() -> None:
    """A refusal that comes between the question and the answer stands."""
    clock = Clock()
    shelf = SlowShelf(clock)
    client = Meta(reply({})).client(budgets=shelf, clock=clock)
    shelf.arrives.clear()
    looking = asyncio.create_task(client.reader("T", account="a").get(edges.me()))
    await asyncio.sleep(0.01)
    client._wire.note_throttled(
        Throttled("m", scope=LimitScope.TOKEN), Meter(account="a"), subject=None
    )
    shelf.arrives.set()

    with pytest.raises(Throttled):
        await looking
    await client.settle()
    assert shelf.rows == client.budgets
    assert shelf.rows["token:a"].wait_at(NOW) == 60.0


async def test_room_that_is_reported_while_the_store_is_asked_counts() -> None:
    """What the store answers was true before."""
    clock = Clock()
    shelf = SlowShelf(clock)
    client = Meta(with_app_at(90), reply({})).client(budgets=shelf, clock=clock)
    await client.reader("T").get(edges.me())
    await client.settle()
    clock.now += 1.0
    shelf.arrives.clear()
    looking = asyncio.create_task(client.reader("T").get(edges.me()))
    await asyncio.sleep(0.01)
    client._wire.observe([Usage("app", 10.0)], Meter())
    shelf.arrives.set()

    await looking
    assert client.budgets == {}
    await client.settle()
    assert shelf.rows[APP].percent == 10.0
