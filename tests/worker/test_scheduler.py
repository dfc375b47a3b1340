"""The daily check for updates: when it is due, and that it starts once."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

from partner_connector.db.engine import Database
from partner_connector.db.models import Integration, SyncJob
from partner_connector.features.sync_jobs.service import request_integration_sync
from partner_connector.ids import new_id
from partner_connector.worker.context import Workshop
from partner_connector.worker.schedule import due_rows
from partner_connector.worker.schedule.daily_syncs import Scheduler
from partner_connector.worker.schedule.due_rows import next_regular_time
from tests.api import rows
from tests.api.engine_rows import enqueued

AT = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
DAY = timedelta(days=1)
PAUSED = {"frequency": "daily", "paused": True}
ONLY_POSTGRES = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

instants = st.timedeltas(-2000 * DAY, 20000 * DAY).map(lambda since: AT + since)


@given(st.uuids(), instants)
def test_the_next_time_is_within_a_day_and_the_one_after_a_day_later(
    integration_id: UUID, at: datetime
) -> None:
    """Always later than now, and always on the same minute."""
    soon = next_regular_time(integration_id, at)
    assert at < soon <= at + DAY
    assert (soon.second, soon.microsecond) == (0, 0)
    assert next_regular_time(integration_id, soon) == soon + DAY
    assert next_regular_time(integration_id, soon - timedelta(microseconds=1)) == soon


@given(st.uuids(), instants, st.timedeltas(timedelta(0), due_rows.LARGEST_SHIFT))
def test_a_shifted_start_is_followed_by_the_next_day(
    integration_id: UUID, at: datetime, shift: timedelta
) -> None:
    """However late within its shift it starts, the same day does not come round again."""
    regular = next_regular_time(integration_id, at)
    assert next_regular_time(integration_id, regular + shift) == regular + DAY


def test_integrations_are_spread_over_the_day() -> None:
    """Even those that were made in the same moment: no hour has twice its share."""
    hours = Counter(next_regular_time(new_id(), AT).hour for _ in range(2400))
    assert len(hours) == 24
    assert max(hours.values()) < 200


async def ours(
    database: Database, workspace_id: UUID, *, connected: bool = True, **values: Any
) -> Integration:
    """An integration, with an active token of its own."""
    made = rows.integration(workspace_id, **values)
    token = rows.token(rows.partner(made), partner_id=None)
    await rows.store(database, made, *([token] if connected else []))
    return made


async def jobs_of(database: Database, integration: Integration) -> Sequence[SyncJob]:
    """Its checks for updates."""
    async with database.reading() as session:
        query = select(SyncJob).where(SyncJob.integration_id == integration.id)
        return (await session.scalars(query.order_by(SyncJob.id))).all()


async def next_check(database: Database, integration: Integration) -> datetime | None:
    """When its next check is planned."""
    async with database.reading() as session:
        return (await session.get_one(Integration, integration.id)).next_check_at


def is_planned_after(at: datetime, planned: datetime | None, integration: Integration) -> bool:
    """At the first regular time after that instant, or a little later."""
    assert planned is not None
    regular = next_regular_time(integration.id, at)
    return regular <= planned < regular + due_rows.LARGEST_SHIFT


async def test_a_new_one_is_planned_and_then_checked_every_day(
    shop: Workshop, database: Database, workspace_id: UUID
) -> None:
    """Nothing starts before its first time; then one check a day, by the engine's own entry."""
    integration = await ours(database, workspace_id)
    assert await Scheduler(shop).look(AT) == []
    first = await next_check(database, integration)
    assert is_planned_after(AT, first, integration)
    assert first is not None
    assert await Scheduler(shop).look(first - timedelta(seconds=1)) == []
    assert await jobs_of(database, integration) == []

    assert await Scheduler(shop).look(first) == [integration.id]
    (job,) = await jobs_of(database, integration)
    assert (job.task, job.trigger, job.status) == ("sync_integration", "schedule", "queued")
    assert await enqueued(database) == [f"sync_integration:{job.id}:1"]
    second = await next_check(database, integration)
    assert is_planned_after(first, second, integration)
    assert await Scheduler(shop).look(first + timedelta(minutes=1)) == []


async def test_missed_days_are_made_up_for_once(
    shop: Workshop, database: Database, workspace_id: UUID
) -> None:
    """After five days without a worker there is one check, at once, and the next one on time."""
    integration = await ours(database, workspace_id, next_check_at=AT - 5 * DAY)
    assert await Scheduler(shop).look(AT) == [integration.id]
    assert await Scheduler(shop).look(AT) == []
    assert len(await jobs_of(database, integration)) == 1
    assert is_planned_after(AT, await next_check(database, integration), integration)


@pytest.mark.parametrize("why_not", [{"schedule": PAUSED}, {"connected": False}])
async def test_what_may_not_be_checked_only_moves_on(
    shop: Workshop, database: Database, workspace_id: UUID, why_not: dict[str, Any]
) -> None:
    """Paused, or without an active token: no check, and no backlog of it either."""
    integration = await ours(database, workspace_id, next_check_at=AT - DAY, **why_not)
    assert await Scheduler(shop).look(AT) == []
    assert await jobs_of(database, integration) == []
    assert await enqueued(database) == []
    assert is_planned_after(AT, await next_check(database, integration), integration)


async def test_the_plan_of_a_wrong_clock_is_made_anew(
    shop: Workshop, database: Database, workspace_id: UUID
) -> None:
    """A host that started in another year must not keep everybody from being checked."""
    integration = await ours(database, workspace_id, next_check_at=AT + 400 * DAY)
    assert await Scheduler(shop).look(AT) == []
    assert is_planned_after(AT, await next_check(database, integration), integration)


async def test_an_unfinished_check_is_joined(
    shop: Workshop, database: Database, workspace_id: UUID
) -> None:
    """Whoever asked for it: there is never a second one beside it."""
    integration = await ours(database, workspace_id, next_check_at=AT)
    async with database.writing() as session:
        asked = await request_integration_sync(session, shop.queue, integration, trigger="api")
    assert await Scheduler(shop).look(AT) == [integration.id]
    assert [job.id for job in await jobs_of(database, integration)] == [asked.id]
    assert is_planned_after(AT, await next_check(database, integration), integration)


async def test_what_is_due_after_an_outage_starts_in_portions(
    shop: Workshop, database: Database, workspace_id: UUID
) -> None:
    """Longest overdue first, and none twice."""
    overdue = [
        await ours(database, workspace_id, next_check_at=AT - timedelta(minutes=n))
        for n in range(due_rows.AT_A_TIME + 3)
    ]
    looks = [await Scheduler(shop).look(AT) for _ in range(3)]
    assert [len(look) for look in looks] == [due_rows.AT_A_TIME, 3, 0]
    assert looks[0] + looks[1] == [integration.id for integration in reversed(overdue)]


async def test_rows_that_cannot_be_taken_let_the_others_pass(
    shop: Workshop, database: Database, workspace_id: UUID
) -> None:
    """More of them than are taken at a look, and longest overdue: those behind them have their turn
    at the next one, and they themselves once they can be taken.
    """
    broken = [
        await ours(database, workspace_id, next_check_at=AT - DAY, schedule=[])
        for _ in range(due_rows.AT_A_TIME + 1)
    ]
    sound = await ours(database, workspace_id, next_check_at=AT)
    scheduler = Scheduler(shop)
    assert await scheduler.look(AT) == []
    assert await scheduler.look(AT) == [sound.id]
    assert await scheduler.look(AT) == []
    async with database.writing() as session:
        await session.execute(update(Integration).values(schedule={"paused": False}))
    looks = [await scheduler.look(AT) for _ in range(2)]
    assert sorted(looks[0] + looks[1]) == sorted(integration.id for integration in broken)


async def test_two_workers_start_each_check_once(
    shop: Workshop, other_shop: Workshop, database: Database, workspace_id: UUID
) -> None:
    """Looking at the same moment, again and again: every check belongs to one of them."""
    due = [await ours(database, workspace_id, next_check_at=AT) for _ in range(8)]
    for day in range(3):
        async with database.writing() as session:
            # As if a day had passed, in which the checks were completed.
            await session.execute(update(SyncJob).values(status="completed"))
            await session.execute(update(Integration).values(next_check_at=AT + day * DAY))
        workers = (Scheduler(shop), Scheduler(other_shop), Scheduler(shop), Scheduler(other_shop))
        started = await asyncio.gather(*(worker.look(AT + day * DAY) for worker in workers))
        assert sorted(chain(*started)) == sorted(integration.id for integration in due)
        for integration in due:
            assert len(await jobs_of(database, integration)) == day + 1
    assert len(await enqueued(database)) == 3 * len(due)


@ONLY_POSTGRES
async def test_one_that_somebody_is_at_does_not_hold_up_the_others(
    shop: Workshop, other_shop: Workshop, database: Database, workspace_id: UUID
) -> None:
    """A locked row is passed over, and taken at the next look."""
    busy = await ours(database, workspace_id, next_check_at=AT - DAY)
    free = await ours(database, workspace_id, next_check_at=AT)
    async with other_shop.database.writing() as session:
        await session.get(Integration, busy.id, with_for_update=True)
        async with asyncio.timeout(5):
            assert await Scheduler(shop).look(AT) == [free.id]
    assert await Scheduler(shop).look(AT) == [busy.id]


@ONLY_POSTGRES
async def test_a_request_at_the_same_moment_is_joined(
    shop: Workshop, other_shop: Workshop, database: Database, workspace_id: UUID
) -> None:
    """Somebody's request is not committed yet when the check is due: one check, and it moves on."""
    integration = await ours(database, workspace_id, next_check_at=AT)
    async with other_shop.database.writing() as session:
        asked = await request_integration_sync(
            session, other_shop.queue, integration, trigger="api"
        )
        look = asyncio.create_task(Scheduler(shop).look(AT))
        await asyncio.sleep(0.5)
        assert not look.done()
    assert await look == [integration.id]
    assert [job.id for job in await jobs_of(database, integration)] == [asked.id]
    assert is_planned_after(AT, await next_check(database, integration), integration)
