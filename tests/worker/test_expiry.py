"""Expiry of unanswered plans and of stored responses of idempotent requests."""

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
from partner_connector.features.sync_jobs.roll_up import status_from_children
from partner_connector.worker.context import WorkerContext
from partner_connector.worker.maintenance.expiry import end_plans, forget_answers
from tests.api import rows

OVERDUE: dict[str, Any] = {"status": "halted", "plan_expires_at": now() - timedelta(minutes=1)}


@pytest.fixture
async def parent(database: Database, workspace_id: UUID) -> SyncJob:
    """A parent job that has done its own work, with one completed child job."""
    integration = rows.integration(workspace_id)
    partner = rows.partner(integration)
    made = rows.sync_job(
        partner, partner_id=None, task="sync_integration", status="halted", own_work_done=True
    )
    complete = rows.sync_job(partner, parent_id=made.id)
    await rows.store(database, integration, partner, made, complete)
    return made


async def make_child_job(database: Database, parent: SyncJob, **values: Any) -> SyncJob:
    """Store one more child job, of its own partner."""
    partner = rows.partner(rows.integration(parent.workspace_id, id=parent.integration_id))
    job = rows.sync_job(partner, parent_id=parent.id, **values)
    await rows.store(database, partner, job)
    return job


async def reload(database: Database, job: SyncJob) -> SyncJob:
    """Return the job as it is now."""
    async with database.reading() as session:
        return await session.get_one(SyncJob, job.id)


async def test_unanswered_plan_expires(
    context: WorkerContext, database: Database, parent: SyncJob
) -> None:
    """Cancel its job and update the parent job, while three workers run the task at once."""
    job = await make_child_job(database, parent, **OVERDUE)
    await asyncio.gather(*(end_plans(context) for _ in range(3)))
    ended = await reload(database, job)
    assert ended.status == "cancelled"
    assert ended.finished_at is not None
    rolled = await reload(database, parent)
    assert rolled.status == status_from_children(Counter({"completed": 1, "cancelled": 1}))
    assert rolled.finished_at is not None


async def test_other_plan_does_not_expire(
    context: WorkerContext, database: Database, parent: SyncJob
) -> None:
    """Keep plans that can still be approved, and approved and applied ones."""
    others: list[dict[str, Any]] = [
        {**OVERDUE, "plan_expires_at": now() + timedelta(hours=1)},
        {**OVERDUE, "status": "running", "approved_plan": "0" * 64},
        {**OVERDUE, "status": "completed", "approved_plan": "0" * 64},
    ]
    jobs = [await make_child_job(database, parent, **values) for values in others]
    await end_plans(context)
    assert [(await reload(database, job)).status for job in jobs] == [
        "halted",
        "running",
        "completed",
    ]


async def test_approval_at_last_moment_wins_over_expiry(
    context: WorkerContext, database: Database, parent: SyncJob
) -> None:
    """Approve the plan after the task has found it overdue and before its row is unlocked."""
    job = await make_child_job(database, parent, **OVERDUE)
    async with database.writing() as session:
        approved = await session.get_one(SyncJob, job.id, with_for_update=True)
        approved.status, approved.approved_plan = "running", "0" * 64
        await session.flush()
        sweep = asyncio.create_task(end_plans(context))
        await asyncio.sleep(0.3)
        assert not sweep.done()
    await sweep
    assert (await reload(database, job)).status == "running"


async def test_expired_idempotency_keys_are_deleted(
    context: WorkerContext, database: Database, workspace_id: UUID
) -> None:
    """Delete all expired keys, in any number of batches, and no others."""
    row = {"workspace_id": workspace_id, "operation": "cancelSyncJob", "fingerprint": "0" * 64}
    over, later = now() - timedelta(seconds=1), now() + timedelta(minutes=1)
    keys = [row | {"key": str(number), "expires_at": over} for number in range(1001)]
    keys.append(row | {"key": "recent", "expires_at": later})
    async with database.writing() as session:
        await session.execute(insert(IdempotencyKey), keys)
    await asyncio.gather(*(forget_answers(context) for _ in range(2)))
    async with database.reading() as session:
        assert list(await session.scalars(select(IdempotencyKey.key))) == ["recent"]
