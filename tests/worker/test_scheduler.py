"""Daily checks for updates: each is due once a day, and starts once."""

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
from partner_connector.worker.context import WorkerContext
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
def test_next_time_is_within_a_day_and_repeats_daily(integration_id: UUID, at: datetime) -> None:
    """Return a later time that is always on the same minute."""
    soon = next_regular_time(integration_id, at)
    assert at < soon <= at + DAY
    assert (soon.second, soon.microsecond) == (0, 0)
    assert next_regular_time(integration_id, soon) == soon + DAY
    assert next_regular_time(integration_id, soon - timedelta(microseconds=1)) == soon


@given(st.uuids(), instants, st.timedeltas(timedelta(0), due_rows.LARGEST_SHIFT))
def test_next_time_after_shifted_start_is_the_next_day(
    integration_id: UUID, at: datetime, shift: timedelta
) -> None:
    regular = next_regular_time(integration_id, at)
    assert next_regular_time(integration_id, regular + shift) == regular + DAY


def test_integrations_are_spread_over_the_day() -> None:
    """Spread integrations that were created at the same moment: no hour has twice its share."""
    hours = Counter(next_regular_time(new_id(), AT).hour for _ in range(2400))
    assert len(hours) == 24
    assert max(hours.values()) < 200


async def make_integration(
    database: Database, workspace_id: UUID, *, connected: bool = True, **values: Any
) -> Integration:
    """Store an integration, by default with an active token of the own business."""
    made = rows.integration(workspace_id, **values)
    token = rows.token(rows.partner(made), partner_id=None)
    await rows.store(database, made, *([token] if connected else []))
    return made


async def jobs_of(database: Database, integration: Integration) -> Sequence[SyncJob]:
    """Return the sync jobs of the integration, oldest first."""
    async with database.reading() as session:
        query = select(SyncJob).where(SyncJob.integration_id == integration.id)
        return (await session.scalars(query.order_by(SyncJob.id))).all()


async def next_check(database: Database, integration: Integration) -> datetime | None:
    """Return the planned time of the next check."""
    async with database.reading() as session:
        return (await session.get_one(Integration, integration.id)).next_check_at


def is_planned_after(at: datetime, planned: datetime | None, integration: Integration) -> bool:
    """Return whether the plan is the first regular time after `at`, or a little later."""
    assert planned is not None
    regular = next_regular_time(integration.id, at)
    return regular <= planned < regular + due_rows.LARGEST_SHIFT


async def test_new_integration_is_checked_once_a_day(
    context: WorkerContext, database: Database, workspace_id: UUID
) -> None:
    """Start nothing before the first planned time, and enqueue one run a day."""
    integration = await make_integration(database, workspace_id)
    assert await Scheduler(context).poll(AT) == []
    first = await next_check(database, integration)
    assert is_planned_after(AT, first, integration)
    assert first is not None
    assert await Scheduler(context).poll(first - timedelta(seconds=1)) == []
    assert await jobs_of(database, integration) == []

    assert await Scheduler(context).poll(first) == [integration.id]
    (job,) = await jobs_of(database, integration)
    assert (job.task, job.trigger, job.status) == ("sync_integration", "schedule", "queued")
    assert await enqueued(database) == [f"sync_integration:{job.id}:1"]
    second = await next_check(database, integration)
    assert is_planned_after(first, second, integration)
    assert await Scheduler(context).poll(first + timedelta(minutes=1)) == []


async def test_missed_days_start_one_check(
    context: WorkerContext, database: Database, workspace_id: UUID
) -> None:
    """Start one check at once after five days without a worker, and the next one on time."""
    integration = await make_integration(database, workspace_id, next_check_at=AT - 5 * DAY)
    assert await Scheduler(context).poll(AT) == [integration.id]
    assert await Scheduler(context).poll(AT) == []
    assert len(await jobs_of(database, integration)) == 1
    assert is_planned_after(AT, await next_check(database, integration), integration)


@pytest.mark.parametrize("values", [{"schedule": PAUSED}, {"connected": False}])
async def test_paused_or_unconnected_integration_is_only_rescheduled(
    context: WorkerContext, database: Database, workspace_id: UUID, values: dict[str, Any]
) -> None:
    """Start no check, and collect no backlog."""
    integration = await make_integration(database, workspace_id, next_check_at=AT - DAY, **values)
    assert await Scheduler(context).poll(AT) == []
    assert await jobs_of(database, integration) == []
    assert await enqueued(database) == []
    assert is_planned_after(AT, await next_check(database, integration), integration)


async def test_plan_in_far_future_is_corrected(
    context: WorkerContext, database: Database, workspace_id: UUID
) -> None:
    """Recover from a host with a wrong clock, which would stop all checks."""
    integration = await make_integration(database, workspace_id, next_check_at=AT + 400 * DAY)
    assert await Scheduler(context).poll(AT) == []
    assert is_planned_after(AT, await next_check(database, integration), integration)


async def test_daily_check_joins_unfinished_job(
    context: WorkerContext, database: Database, workspace_id: UUID
) -> None:
    """Start no second job beside a requested one."""
    integration = await make_integration(database, workspace_id, next_check_at=AT)
    async with database.writing() as session:
        asked = await request_integration_sync(session, context.queue, integration, trigger="api")
    assert await Scheduler(context).poll(AT) == [integration.id]
    assert [job.id for job in await jobs_of(database, integration)] == [asked.id]
    assert is_planned_after(AT, await next_check(database, integration), integration)


async def test_due_checks_after_an_outage_start_in_batches(
    context: WorkerContext, database: Database, workspace_id: UUID
) -> None:
    """Start the longest overdue first, and none twice."""
    overdue = [
        await make_integration(database, workspace_id, next_check_at=AT - timedelta(minutes=n))
        for n in range(due_rows.AT_A_TIME + 3)
    ]
    results = [await Scheduler(context).poll(AT) for _ in range(3)]
    assert [len(found) for found in results] == [due_rows.AT_A_TIME, 3, 0]
    assert results[0] + results[1] == [integration.id for integration in reversed(overdue)]


async def test_broken_rows_do_not_block_other_rows(
    context: WorkerContext, database: Database, workspace_id: UUID
) -> None:
    """Store more broken rows than one poll takes.

    The others start at the next poll, and the broken ones once they are repaired.
    """
    broken = [
        await make_integration(database, workspace_id, next_check_at=AT - DAY, schedule=[])
        for _ in range(due_rows.AT_A_TIME + 1)
    ]
    sound = await make_integration(database, workspace_id, next_check_at=AT)
    scheduler = Scheduler(context)
    assert await scheduler.poll(AT) == []
    assert await scheduler.poll(AT) == [sound.id]
    assert await scheduler.poll(AT) == []
    async with database.writing() as session:
        await session.execute(update(Integration).values(schedule={"paused": False}))
    results = [await scheduler.poll(AT) for _ in range(2)]
    assert sorted(results[0] + results[1]) == sorted(integration.id for integration in broken)


async def test_two_workers_start_each_check_once(
    context: WorkerContext, other_context: WorkerContext, database: Database, workspace_id: UUID
) -> None:
    due = [await make_integration(database, workspace_id, next_check_at=AT) for _ in range(8)]
    for day in range(3):
        async with database.writing() as session:
            # Act as if a day has passed and the checks are completed.
            await session.execute(update(SyncJob).values(status="completed"))
            await session.execute(update(Integration).values(next_check_at=AT + day * DAY))
        workers = (
            Scheduler(context),
            Scheduler(other_context),
            Scheduler(context),
            Scheduler(other_context),
        )
        started = await asyncio.gather(*(worker.poll(AT + day * DAY) for worker in workers))
        assert sorted(chain(*started)) == sorted(integration.id for integration in due)
        for integration in due:
            assert len(await jobs_of(database, integration)) == day + 1
    assert len(await enqueued(database)) == 3 * len(due)


@ONLY_POSTGRES
async def test_locked_integration_is_skipped_until_the_next_poll(
    context: WorkerContext, other_context: WorkerContext, database: Database, workspace_id: UUID
) -> None:
    busy = await make_integration(database, workspace_id, next_check_at=AT - DAY)
    free = await make_integration(database, workspace_id, next_check_at=AT)
    async with other_context.database.writing() as session:
        await session.get(Integration, busy.id, with_for_update=True)
        async with asyncio.timeout(5):
            assert await Scheduler(context).poll(AT) == [free.id]
    assert await Scheduler(context).poll(AT) == [busy.id]


@ONLY_POSTGRES
async def test_daily_check_joins_uncommitted_request(
    context: WorkerContext, other_context: WorkerContext, database: Database, workspace_id: UUID
) -> None:
    """Wait for the request's transaction, start one job, and plan the next check."""
    integration = await make_integration(database, workspace_id, next_check_at=AT)
    async with other_context.database.writing() as session:
        asked = await request_integration_sync(
            session, other_context.queue, integration, trigger="api"
        )
        starting = asyncio.create_task(Scheduler(context).poll(AT))
        await asyncio.sleep(0.5)
        assert not starting.done()
    assert await starting == [integration.id]
    assert [job.id for job in await jobs_of(database, integration)] == [asked.id]
    assert is_planned_after(AT, await next_check(database, integration), integration)
