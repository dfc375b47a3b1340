"""How many calls go out at once: fair, bounded, and never lost by a cancellation."""

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partner_connector.graph.slots import Slots


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def hold(slots: Slots, name: int, order: list[int], until: asyncio.Event) -> None:
    """Take a slot, say so, and keep it until the event."""
    async with slots.one():
        order.append(name)
        await until.wait()


async def settled() -> None:
    """Let every task go as far as it can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_who_waits_longest_goes_first() -> None:
    """Nobody overtakes, whenever a slot comes free."""
    slots, order = Slots(2, Clock()), list[int]()
    gates = [asyncio.Event() for _ in range(6)]
    tasks = [asyncio.create_task(hold(slots, n, order, gates[n])) for n in range(6)]
    await settled()
    assert order == [0, 1]
    for gate in gates:
        gate.set()
        await settled()
    await asyncio.gather(*tasks)
    assert order == [0, 1, 2, 3, 4, 5]
    assert slots.taken == 0


async def test_a_newcomer_does_not_overtake_those_who_wait() -> None:
    """Not even in the moment between a slot's return and its new owner's waking up."""
    slots, order, gate = Slots(1, Clock()), list[int](), asyncio.Event()
    first = asyncio.create_task(hold(slots, 0, order, gate))
    await settled()
    second = asyncio.create_task(hold(slots, 1, order, gate))
    await settled()
    third = asyncio.create_task(hold(slots, 2, order, gate))
    gate.set()
    await asyncio.gather(first, second, third)
    assert order == [0, 1, 2]


async def test_a_slot_comes_back_after_a_failure() -> None:
    """Whatever happens inside."""
    slots = Slots(1, Clock())
    with pytest.raises(KeyError):
        async with slots.one():
            raise KeyError
    assert slots.taken == 0


async def test_one_who_gives_up_waiting_takes_no_slot_along() -> None:
    """The next in the line gets it."""
    slots, order, gate = Slots(1, Clock()), list[int](), asyncio.Event()
    holder, quitter, heir = (asyncio.create_task(hold(slots, n, order, gate)) for n in range(3))
    await settled()
    quitter.cancel()
    await settled()
    gate.set()
    await asyncio.gather(holder, heir)
    assert order == [0, 2]
    assert quitter.cancelled()
    assert slots.taken == 0


async def test_a_slot_given_to_one_who_is_just_cancelled_goes_on() -> None:
    """The slot came before the cancellation was delivered."""
    slots, order, gate, last = Slots(1, Clock()), list[int](), asyncio.Event(), asyncio.Event()
    last.set()
    holder = asyncio.create_task(hold(slots, 0, order, gate))
    await settled()
    quitter = asyncio.create_task(hold(slots, 1, order, last))
    heir = asyncio.create_task(hold(slots, 2, order, last))
    await settled()
    gate.set()
    await asyncio.sleep(0)  # the holder gives back, and the quitter's turn is granted
    quitter.cancel()
    await asyncio.gather(holder, heir)
    assert quitter.cancelled()
    assert order == [0, 2]
    assert slots.taken == 0


@given(seed=st.integers(), most=st.integers(1, 5))
def test_no_slot_is_ever_lost_or_doubled(seed: int, most: int) -> None:
    """Many tasks, some cancelled at any moment, while the number of slots changes."""
    dice = random.Random(seed)  # noqa: S311 - a test's dice

    async def storm() -> None:
        slots, under_way, peak = Slots(most, Clock()), 0, 0

        async def call() -> None:
            nonlocal under_way, peak
            async with slots.one():
                under_way += 1
                peak = max(peak, under_way)
                try:
                    for _ in range(dice.randrange(3)):
                        await asyncio.sleep(0)
                finally:
                    under_way -= 1

        tasks = [asyncio.create_task(call()) for _ in range(30)]
        for task in tasks:
            slots.narrow_to(dice.random())
            if dice.random() < 0.4:
                task.cancel()
            if dice.random() < 0.5:
                await asyncio.sleep(0)
        slots.narrow_to(1.0)
        await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
        assert peak <= most
        assert (under_way, slots.taken) == (0, 0)
        async with slots.one():
            assert slots.taken == 1

    asyncio.run(storm())


def test_trouble_halves_and_good_answers_bring_slots_back_one_by_one() -> None:
    """Once a second at most, never below one, never above what was configured."""
    clock = Clock()
    slots = Slots(8, clock)
    slots.went_wrong()
    slots.went_wrong()
    assert slots.limit == 4
    for _ in range(5):
        clock.now += 1.0
        slots.went_wrong()
    assert slots.limit == 1
    slots.went_well()
    assert slots.limit == 2
    limits = []
    for _ in range(100):
        slots.went_well()
        limits.append(slots.limit)
    assert limits[:3] == [2, 2, 3]
    assert limits == sorted(limits)
    assert limits[-1] == 8


@pytest.mark.parametrize(("share", "limit"), [(1.0, 8), (0.9, 7), (0.5, 4), (0.12, 1), (0.0, 1)])
def test_a_share_of_the_slots_is_never_nothing(share: float, limit: int) -> None:
    """Rounded down, but one call always goes."""
    slots = Slots(8, Clock())
    slots.narrow_to(share)
    assert slots.limit == limit
    slots.narrow_to(1.0)
    assert slots.limit == 8


async def test_those_who_wait_are_let_in_when_there_are_more_slots() -> None:
    """Also when no call ends meanwhile."""
    slots, order, gate = Slots(4, Clock()), list[int](), asyncio.Event()
    slots.narrow_to(0.0)
    tasks = [asyncio.create_task(hold(slots, n, order, gate)) for n in range(4)]
    await settled()
    assert order == [0]
    slots.narrow_to(0.75)
    await settled()
    assert order == [0, 1, 2]
    gate.set()
    await asyncio.gather(*tasks)


async def test_a_good_answer_lets_one_more_in() -> None:
    """At once, not when the next call ends."""
    slots, order, gate = Slots(2, Clock()), list[int](), asyncio.Event()
    slots.went_wrong()
    tasks = [asyncio.create_task(hold(slots, n, order, gate)) for n in range(2)]
    await settled()
    assert order == [0]
    slots.went_well()
    await settled()
    assert order == [0, 1]
    gate.set()
    await asyncio.gather(*tasks)


def test_there_is_at_least_one() -> None:
    """None would be a standstill."""
    with pytest.raises(ValueError, match="one call"):
        Slots(0, Clock())
