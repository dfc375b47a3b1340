"""Cleanup of the staging tables, in batches."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import String, cast, delete, event, func, insert, literal, select, type_coerce
from sqlalchemy.engine import Connection

from partner_connector.db.engine import Database
from partner_connector.db.models import (
    Integration,
    PlannedChange,
    StagedAsset,
    StagedGrant,
    StagedPartner,
    StagedUser,
    SyncJob,
)
from partner_connector.db.models.base import Json
from partner_connector.worker.sync.stage.cleanup import (
    BATCH_SIZE,
    clear_ended_jobs,
    clear_staging,
)
from tests.api import rows

TABLES = (StagedGrant, PlannedChange, StagedUser, StagedAsset, StagedPartner)
ONLY_POSTGRES = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


async def job_with_rows(database: Database, integration: Integration, **values: Any) -> SyncJob:
    """Store a job of its own partner, with a row in every table."""
    partner = rows.partner(integration)
    job = rows.sync_job(partner, **values)
    person: dict[str, Any] = {
        "meta_user_id": "1",
        "kind": "person",
        "name": "Ada",
        "role_class": "employee",
        "two_factor": "unknown",
        "enriched": True,
    }
    asset: dict[str, Any] = {"type": "page", "meta_id": "2", "name": "Page", "listed_in": 1}
    await rows.store(
        database,
        partner,
        job,
        StagedPartner(job_id=job.id, meta_business_id="1", side="agencies", name="They"),
        StagedAsset(job_id=job.id, direction="ours_shared_to_partner", **asset),
        StagedUser(job_id=job.id, **person),
        StagedGrant(
            job_id=job.id,
            asset_type="page",
            asset_meta_id="2",
            meta_user_id="1",
            tasks=["ANALYZE"],
            full_control=False,
        ),
        PlannedChange(job_id=job.id, kind="user_left", partner_id=partner.id),
    )
    return job


async def stage_grants(database: Database, job: SyncJob, number: int) -> None:
    """Stage this number of grants for the job."""
    step = select(literal(1).label("n")).cte("numbers", recursive=True)
    numbers = step.union_all(select(step.c.n + 1).where(step.c.n < number))
    values = select(
        literal(job.id),
        literal("ad_account"),
        cast(numbers.c.n % 50, String),
        cast(numbers.c.n, String),
        literal("direct"),
        type_coerce(["ADVERTISE"], Json),
        literal(False),
    )
    columns = ["job_id", "asset_type", "asset_meta_id", "meta_user_id", "via", "tasks"]
    async with database.writing() as session:
        await session.execute(insert(StagedGrant).from_select([*columns, "full_control"], values))


async def rows_left(database: Database, job: SyncJob) -> list[int]:
    """Return the number of the job's rows in each table."""
    async with database.reading() as session:
        counts = [
            await session.scalar(select(func.count()).where(table.job_id == job.id))
            for table in TABLES
        ]
    return [count or 0 for count in counts]


@contextmanager
def deletions(database: Database) -> Iterator[list[int]]:
    """Yield the number of rows that each transaction deletes."""
    in_transactions: list[int] = [0]

    def add(_connection: Connection, cursor: Any, statement: str, *_: object) -> None:
        if statement.startswith("DELETE"):
            in_transactions[-1] += cursor.rowcount

    def start_next(_connection: Connection) -> None:
        in_transactions.append(0)

    engine = database.engine.sync_engine
    event.listen(engine, "after_cursor_execute", add)
    event.listen(engine, "commit", start_next)
    yield in_transactions
    event.remove(engine, "after_cursor_execute", add)
    event.remove(engine, "commit", start_next)


async def test_job_is_cleared_in_batches(database: Database, workspace_id: UUID) -> None:
    """Delete at most one batch in each transaction, and no rows of another job."""
    integration = rows.integration(workspace_id)
    await rows.store(database, integration)
    job = await job_with_rows(database, integration)
    other = await job_with_rows(database, integration)
    await stage_grants(database, job, 2 * BATCH_SIZE + 10)
    with deletions(database) as deleted:
        await clear_staging(database, job.id)
    assert await rows_left(database, job) == [0, 0, 0, 0, 0]
    assert await rows_left(database, other) == [1, 1, 1, 1, 1]
    assert sum(deleted) == 2 * BATCH_SIZE + 10 + len(TABLES)
    assert max(deleted) == BATCH_SIZE


async def test_interrupted_cleanup_is_completed_by_the_next(
    database: Database, workspace_id: UUID
) -> None:
    """Find the job again after a worker stops during the cleanup."""
    integration = rows.integration(workspace_id)
    await rows.store(database, integration)
    job = await job_with_rows(database, integration)
    await stage_grants(database, job, 2 * BATCH_SIZE)
    clearing = asyncio.create_task(clear_staging(database, job.id))
    while (await rows_left(database, job))[0] > 2 * BATCH_SIZE:
        await asyncio.sleep(0)
    clearing.cancel()
    await asyncio.wait([clearing])
    assert clearing.cancelled()
    assert (await rows_left(database, job))[0] > 0
    await clear_ended_jobs(database)
    assert await rows_left(database, job) == [0, 0, 0, 0, 0]


async def test_only_ended_jobs_are_cleared(database: Database, workspace_id: UUID) -> None:
    """Keep the plan of a halted job and the reads of a waiting job."""
    integration = rows.integration(workspace_id)
    await rows.store(database, integration)
    kept = [
        await job_with_rows(database, integration, status=status)
        for status in ("queued", "running", "waiting", "halted")
    ]
    cleared = [
        await job_with_rows(database, integration, status=status)
        for status in ("completed", "failed", "cancelled")
    ]
    # A parent job that only waits for its child jobs has applied its reads.
    cleared.append(
        await job_with_rows(
            database, integration, status="running", own_work_done=True, partner_id=None
        )
    )
    await clear_ended_jobs(database)
    for job in kept:
        await clear_staging(database, job.id)
    assert [await rows_left(database, job) for job in kept] == [[1, 1, 1, 1, 1]] * 4
    assert [await rows_left(database, job) for job in cleared] == [[0, 0, 0, 0, 0]] * 4


async def test_job_with_rows_in_one_table_is_cleared(
    database: Database, workspace_id: UUID
) -> None:
    """Complete a cleanup that stopped between two tables."""
    integration = rows.integration(workspace_id)
    await rows.store(database, integration)
    jobs = [await job_with_rows(database, integration) for _ in TABLES]
    async with database.writing() as session:
        for kept, job in zip(TABLES, jobs, strict=True):
            for other in TABLES:
                if other is not kept:
                    await session.execute(delete(other).where(other.job_id == job.id))
    await clear_ended_jobs(database)
    assert [await rows_left(database, job) for job in jobs] == [[0, 0, 0, 0, 0]] * len(TABLES)


@ONLY_POSTGRES
async def test_cleanup_waits_for_deletion_of_the_job(
    database: Database, workspace_id: UUID
) -> None:
    """Avoid a deadlock: the deletion of the job deletes the same rows."""
    integration = rows.integration(workspace_id)
    await rows.store(database, integration)
    job = await job_with_rows(database, integration)
    async with database.writing() as session:
        await session.get(SyncJob, job.id, with_for_update=True)
        clearing = asyncio.create_task(clear_staging(database, job.id))
        await asyncio.sleep(0.5)
        assert await rows_left(database, job) == [1, 1, 1, 1, 1]
        await session.delete(await session.get_one(Integration, integration.id))
    await clearing
    assert await rows_left(database, job) == [0, 0, 0, 0, 0]
