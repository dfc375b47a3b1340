"""Slots of concurrent calls: fair, limited, and never lost by a cancellation."""

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partner_connector.graph.slots import Slots


class Clock:
    """Seconds that pass only when a test moves them."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def hold(slots: Slots, name: int, order: list[int], until: asyncio.Event) -> None:
    """Take a slot, record the order, and keep the slot until the event."""
    async with slots.acquire():
        order.append(name)
        await until.wait()


async def run_pending_tasks() -> None:
    """Let every task run until it waits."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_slots_are_given_in_order_of_waiting() -> None:
    slots, order = Slots(2, Clock()), list[int]()
    gates = [asyncio.Event() for _ in range(6)]
    tasks = [asyncio.create_task(hold(slots, n, order, gates[n])) for n in range(6)]
    await run_pending_tasks()
    assert order == [0, 1]
    for gate in gates:
        gate.set()
        await run_pending_tasks()
    await asyncio.gather(*tasks)
    assert order == [0, 1, 2, 3, 4, 5]
    assert slots.taken == 0


async def test_new_call_does_not_overtake_waiting_calls() -> None:
    """Cover the moment between a slot's release and the wake-up of its new owner."""
    slots, order, gate = Slots(1, Clock()), list[int](), asyncio.Event()
    first = asyncio.create_task(hold(slots, 0, order, gate))
    await run_pending_tasks()
    second = asyncio.create_task(hold(slots, 1, order, gate))
    await run_pending_tasks()
    third = asyncio.create_task(hold(slots, 2, order, gate))
    gate.set()
    await asyncio.gather(first, second, third)
    assert order == [0, 1, 2]


async def test_slot_is_released_after_failure() -> None:
    slots = Slots(1, Clock())
    with pytest.raises(KeyError):
        async with slots.acquire():
            raise KeyError
    assert slots.taken == 0


async def test_cancelled_waiting_call_takes_no_slot() -> None:
    """Give the slot to the next call in line."""
    slots, order, gate = Slots(1, Clock()), list[int](), asyncio.Event()
    holder, cancelled_task, next_task = (
        asyncio.create_task(hold(slots, n, order, gate)) for n in range(3)
    )
    await run_pending_tasks()
    cancelled_task.cancel()
    await run_pending_tasks()
    gate.set()
    await asyncio.gather(holder, next_task)
    assert order == [0, 2]
    assert cancelled_task.cancelled()
    assert slots.taken == 0


async def test_slot_of_call_cancelled_on_wake_up_is_passed_on() -> None:
    """Cover a slot that is given just before the cancellation."""
    slots, order, gate, last = Slots(1, Clock()), list[int](), asyncio.Event(), asyncio.Event()
    last.set()
    holder = asyncio.create_task(hold(slots, 0, order, gate))
    await run_pending_tasks()
    cancelled_task = asyncio.create_task(hold(slots, 1, order, last))
    next_task = asyncio.create_task(hold(slots, 2, order, last))
    await run_pending_tasks()
    gate.set()
    await asyncio.sleep(0)  # the holder releases its slot, and the second call receives it
    cancelled_task.cancel()
    await asyncio.gather(holder, next_task)
    assert cancelled_task.cancelled()
    assert order == [0, 2]
    assert slots.taken == 0


@given(seed=st.integers(), most=st.integers(1, 5))
def test_no_slot_is_lost_or_duplicated(seed: int, most: int) -> None:
    """Run many tasks, some cancelled at any moment, while the number of slots changes."""
    dice = random.Random(seed)  # noqa: S311 - randomness of a test

    async def run_random_calls() -> None:
        slots, under_way, peak = Slots(most, Clock()), 0, 0

        async def call() -> None:
            nonlocal under_way, peak
            async with slots.acquire():
                under_way += 1
                peak = max(peak, under_way)
                try:
                    for _ in range(dice.randrange(3)):
                        await asyncio.sleep(0)
                finally:
                    under_way -= 1

        tasks = [asyncio.create_task(call()) for _ in range(30)]
        for task in tasks:
            slots.limit_to(dice.random())
            if dice.random() < 0.4:
                task.cancel()
            if dice.random() < 0.5:
                await asyncio.sleep(0)
        slots.limit_to(1.0)
        await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
        assert peak <= most
        assert (under_way, slots.taken) == (0, 0)
        async with slots.acquire():
            assert slots.taken == 1

    asyncio.run(run_random_calls())


def test_failures_halve_slots_and_successes_restore_them() -> None:
    """Change at most once a second, never below one and never above the configured number."""
    clock = Clock()
    slots = Slots(8, clock)
    slots.record_failure()
    slots.record_failure()
    assert slots.limit == 4
    for _ in range(5):
        clock.now += 1.0
        slots.record_failure()
    assert slots.limit == 1
    slots.record_success()
    assert slots.limit == 2
    limits = []
    for _ in range(100):
        slots.record_success()
        limits.append(slots.limit)
    assert limits[:3] == [2, 2, 3]
    assert limits == sorted(limits)
    assert limits[-1] == 8


@pytest.mark.parametrize(("share", "limit"), [(1.0, 8), (0.9, 7), (0.5, 4), (0.12, 1), (0.0, 1)])
def test_limit_is_never_below_one_slot(share: float, limit: int) -> None:
    """Round down, but allow one call."""
    slots = Slots(8, Clock())
    slots.limit_to(share)
    assert slots.limit == limit
    slots.limit_to(1.0)
    assert slots.limit == 8


async def test_waiting_calls_start_when_limit_is_raised() -> None:
    """Start the calls even when no running call ends."""
    slots, order, gate = Slots(4, Clock()), list[int](), asyncio.Event()
    slots.limit_to(0.0)
    tasks = [asyncio.create_task(hold(slots, n, order, gate)) for n in range(4)]
    await run_pending_tasks()
    assert order == [0]
    slots.limit_to(0.75)
    await run_pending_tasks()
    assert order == [0, 1, 2]
    gate.set()
    await asyncio.gather(*tasks)


async def test_success_starts_one_more_call_at_once() -> None:
    slots, order, gate = Slots(2, Clock()), list[int](), asyncio.Event()
    slots.record_failure()
    tasks = [asyncio.create_task(hold(slots, n, order, gate)) for n in range(2)]
    await run_pending_tasks()
    assert order == [0]
    slots.record_success()
    await run_pending_tasks()
    assert order == [0, 1]
    gate.set()
    await asyncio.gather(*tasks)


def test_zero_slots_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one slot"):
        Slots(0, Clock())
