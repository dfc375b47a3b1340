"""Rate-limit budgets in the database."""

import asyncio
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text, update

from partner_connector.clock import now
from partner_connector.db.engine import Database
from partner_connector.db.models import GraphBudget
from partner_connector.graph import Budget
from partner_connector.graph.budgets import merged
from partner_connector.worker.graph_budgets import DatabaseBudgets


@pytest.fixture
def store(database: Database) -> DatabaseBudgets:
    """Budget store of one worker."""
    return DatabaseBudgets(database)


def seconds_ago(seconds: float) -> float:
    """Return the Unix time this many seconds ago, in whole seconds."""
    return float(int(now().timestamp()) - seconds)


async def rows(database: Database) -> int:
    """Return the number of stored budgets."""
    async with database.reading() as session:
        return await session.scalar(select(func.count()).select_from(GraphBudget)) or 0


async def test_saved_budgets_are_loaded(store: DatabaseBudgets) -> None:
    """Check that every field of each budget is loaded, under its key."""
    saved = {
        "app:1": Budget(80.5, seen_at=seconds_ago(0.25)),
        "token:a": Budget(0.0, seen_at=seconds_ago(1), blocked_until=seconds_ago(-60), blocks=3),
    }
    await store.save(saved)
    assert await store.load() == saved


async def test_empty_save_and_load_work(store: DatabaseBudgets) -> None:
    """Check that an empty store and an empty save work, as in the first second of a deployment."""
    await store.save({})
    assert await store.load() == {}


async def test_only_relevant_budgets_are_loaded(store: DatabaseBudgets, database: Database) -> None:
    """Check that the query selects as `Budget.is_relevant_at`: 75 % or more, or a block, of the
    last hour.
    """
    at = now().timestamp()
    candidates = {
        f"{n}/t": Budget(percent, seen_at=at - age, blocked_until=until, blocks=1)
        for n, (percent, age, until) in enumerate(
            (percent, age, until)
            for percent in (0.0, 74.9, 75.0, 120.0)
            for age in (0.0, 3500.0, 3700.0)
            for until in (None, at - 3700, at - 3500, at + 60)
        )
    }
    await store.save(candidates)
    assert await rows(database) == len(candidates) == 48
    expected = {key for key, budget in candidates.items() if budget.is_relevant_at(at)}
    assert set(await store.load()) == expected
    assert 0 < len(expected) < 48


BUDGETS = st.builds(
    Budget,
    percent=st.sampled_from([75.0, 80.0, 100.0]),
    seen_at=st.integers(0, 5).map(float),
    blocked_until=st.none() | st.integers(1, 5).map(float),
    blocks=st.integers(0, 3),
)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(one=BUDGETS, other=BUDGETS)
async def test_database_merges_budgets_as_library_does(
    store: DatabaseBudgets, database: Database, one: Budget, other: Budget
) -> None:
    """Check that the newest report and the longest block win, in any order of writes."""
    base = now().timestamp() // 1
    one, other = shifted(one, base), shifted(other, base)
    async with database.writing() as session:
        await session.execute(text("DELETE FROM graph_budgets"))
    await store.save({"k": one})
    await store.save({"k": other})
    both = (await store.load())["k"]
    if one.seen_at != other.seen_at and one.blocked_until != other.blocked_until:
        assert both == merged(one, other)
    assert both.seen_at == max(one.seen_at, other.seen_at)
    assert both.blocked_until == merged(one, other).blocked_until


def shifted(budget: Budget, base: float) -> Budget:
    """Return the budget with its times moved close to now, where budgets are relevant."""
    until = budget.blocked_until
    return Budget(
        budget.percent,
        seen_at=budget.seen_at + base - 10,
        blocked_until=None if until is None else until + base,
        blocks=budget.blocks,
    )


async def test_concurrent_saves_of_same_rows_succeed(database: Database) -> None:
    """Check that saves with different key orders cause no deadlock and lose no update."""
    keys = [f"{n}/t" for n in range(20)]
    base = seconds_ago(100)

    async def work(number: int) -> None:
        ordered = keys if number % 2 else keys[::-1]
        for step in range(5):
            budget = Budget(90.0, seen_at=base, blocked_until=base + 200 + number * 10 + step)
            await DatabaseBudgets(database).save(dict.fromkeys(ordered, budget))

    await asyncio.gather(*(work(number) for number in range(6)))
    loaded = await DatabaseBudgets(database).load()
    assert {key: budget.blocked_until for key, budget in loaded.items()} == dict.fromkeys(
        keys, base + 254
    )


async def test_save_deletes_budgets_older_than_a_day(
    store: DatabaseBudgets, database: Database
) -> None:
    """Check that a budget that is still blocked is kept."""
    long_block = Budget(0.0, seen_at=seconds_ago(90), blocked_until=seconds_ago(-900))
    await store.save({"old": Budget(80.0, seen_at=seconds_ago(90)), "long": long_block})
    async with database.writing() as session:
        yesterday = now() - timedelta(days=1, seconds=1)
        await session.execute(update(GraphBudget).values(seen_at=yesterday))
    await store.save({"new": Budget(80.0, seen_at=seconds_ago(1))})
    assert await rows(database) == 2
    assert set(await store.load()) == {"long", "new"}


async def test_key_with_any_characters_is_stored(store: DatabaseBudgets) -> None:
    """Check that a NUL, half a surrogate pair or any length in Meta's key cannot break a save."""
    budget = Budget(80.0, seen_at=seconds_ago(1))
    await store.save({"1/\x00\ud800" + "x" * 500: budget, "2/t": budget})
    (odd, good) = sorted(await store.load())
    assert odd.startswith("1/?xxx")
    assert good == "2/t"
    assert len(odd) == 200


async def test_budgets_from_the_future_are_ignored(store: DatabaseBudgets) -> None:
    """Check that budgets with a time in the future are ignored, and the next correct report
    replaces them.
    """
    tomorrow = seconds_ago(-24 * 3600)
    await store.save(
        {
            "app:1": Budget(100.0, seen_at=tomorrow, blocked_until=tomorrow + 60, blocks=1),
            "app:2": Budget(0.0, seen_at=seconds_ago(1), blocked_until=tomorrow + 3600, blocks=1),
            "app:3": Budget(90.0, seen_at=tomorrow),
        }
    )
    assert await store.load() == {}

    correct = {
        "app:1": Budget(80.0, seen_at=seconds_ago(0)),
        "app:2": Budget(0.0, seen_at=seconds_ago(0), blocked_until=seconds_ago(-60), blocks=1),
    }
    await store.save(correct)
    assert await store.load() == correct
