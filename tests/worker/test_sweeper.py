"""Plans that nobody answered in time, and answers that nobody can ask for again."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert, select

from partner_connector.clock import now
from partner_connector.db.engine import Database
from partner_connector.db.models import IdempotencyKey, SyncJob
from partner_connector.features.sync_jobs.roll_up import rolled_up
from partner_connector.worker.context import Workshop
from partner_connector.worker.maintenance.expiry import end_plans, forget_answers
from tests.api import rows

OVERDUE: dict[str, Any] = {"status": "halted", "plan_expires_at": now() - timedelta(minutes=1)}


@pytest.fixture
async def parent(database: Database, workspace_id: UUID) -> SyncJob:
    """A check of all partners that has done its own work, with one complete child."""
    integration = rows.integration(workspace_id)
    partner = rows.partner(integration)
    made = rows.sync_job(
        partner, partner_id=None, task="sync_integration", status="halted", own_work_done=True
    )
    complete = rows.sync_job(partner, parent_id=made.id)
    await rows.store(database, integration, partner, made, complete)
    return made


async def child(database: Database, parent: SyncJob, **values: Any) -> SyncJob:
    """One more, of a partner of its own."""
    partner = rows.partner(rows.integration(parent.workspace_id, id=parent.integration_id))
    job = rows.sync_job(partner, parent_id=parent.id, **values)
    await rows.store(database, partner, job)
    return job


async def seen(database: Database, job: SyncJob) -> SyncJob:
    """The job as it is now."""
    async with database.reading() as session:
        return await session.get_one(SyncJob, job.id)


async def test_a_plan_that_is_not_answered_expires(
    shop: Workshop, database: Database, parent: SyncJob
) -> None:
    """Its job is cancelled, and the check of all partners knows, whoever sweeps at once."""
    job = await child(database, parent, **OVERDUE)
    await asyncio.gather(*(end_plans(shop) for _ in range(3)))
    ended = await seen(database, job)
    assert ended.status == "cancelled"
    assert ended.finished_at is not None
    rolled = await seen(database, parent)
    assert rolled.status == rolled_up(Counter({"completed": 1, "cancelled": 1}))
    assert rolled.finished_at is not None


async def test_any_other_plan_stays(shop: Workshop, database: Database, parent: SyncJob) -> None:
    """One that can still be approved, that was, or that was carried out."""
    others: list[dict[str, Any]] = [
        {**OVERDUE, "plan_expires_at": now() + timedelta(hours=1)},
        {**OVERDUE, "status": "running", "approved_plan": "0" * 64},
        {**OVERDUE, "status": "completed", "approved_plan": "0" * 64},
    ]
    jobs = [await child(database, parent, **values) for values in others]
    await end_plans(shop)
    assert [(await seen(database, job)).status for job in jobs] == [
        "halted",
        "running",
        "completed",
    ]


async def test_an_approval_at_the_last_moment_counts(
    shop: Workshop, database: Database, parent: SyncJob
) -> None:
    """The sweeper found the plan overdue, and then it was approved before its row was free."""
    job = await child(database, parent, **OVERDUE)
    async with database.writing() as session:
        approved = await session.get_one(SyncJob, job.id, with_for_update=True)
        approved.status, approved.approved_plan = "running", "0" * 64
        await session.flush()
        sweep = asyncio.create_task(end_plans(shop))
        await asyncio.sleep(0.3)
        assert not sweep.done()
    await sweep
    assert (await seen(database, job)).status == "running"


async def test_answers_are_forgotten_after_their_time(
    shop: Workshop, database: Database, workspace_id: UUID
) -> None:
    """Keys whose day is over are deleted, in as many turns as it takes, and no others."""
    row = {"workspace_id": workspace_id, "operation": "cancelSyncJob", "fingerprint": "0" * 64}
    over, to_come = now() - timedelta(seconds=1), now() + timedelta(minutes=1)
    keys = [row | {"key": str(number), "expires_at": over} for number in range(1001)]
    keys.append(row | {"key": "young", "expires_at": to_come})
    async with database.writing() as session:
        await session.execute(insert(IdempotencyKey), keys)
    await asyncio.gather(*(forget_answers(shop) for _ in range(2)))
    async with database.reading() as session:
        assert list(await session.scalars(select(IdempotencyKey.key))) == ["young"]
