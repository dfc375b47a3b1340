"""Deletion of ended jobs' staging rows, in small batches.

An ended job may have millions of rows there. Deleting them in the transaction that ends the job
would hold its locks for a long time, and on SQLite block every other writer.
"""

import asyncio
import uuid

from sqlalchemy import (
    ColumnElement,
    CursorResult,
    Select,
    Table,
    any_,
    delete,
    func,
    literal_column,
    or_,
    select,
    union,
)
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.engine import Database
from partner_connector.db.locks import lock_job
from partner_connector.db.models import Base, SyncJob
from partner_connector.db.models.sync_job import UNFINISHED

# Takes some tenths of a second.
BATCH_SIZE = 20_000
# Between two batches, so that other writers to a SQLite file can run.
_PAUSE_SECONDS = 0.05

_NAMES = ("staged_grants", "planned_changes", "staged_users", "staged_assets", "staged_partners")
_TABLES = [Base.metadata.tables[name] for name in _NAMES]


async def clear_staging(database: Database, job_id: uuid.UUID) -> None:
    """Delete the staged and planned rows of a job that no longer needs them.

    Uses one transaction for each `BATCH_SIZE`; after an interruption it can be called again.
    Keeps the rows of a job that may continue: without them, users would seem to have left.
    """
    while True:
        async with database.writing() as session:
            deleted = await _delete_batch(session, job_id)
        if deleted < BATCH_SIZE:
            return
        await asyncio.sleep(_PAUSE_SECONDS)


async def clear_ended_jobs(database: Database) -> None:
    """Delete the staging rows of all ended jobs whose own cleanup did not finish or never ran."""
    async with database.reading() as session:
        job_ids = list(await session.scalars(_jobs_to_clear()))
    for job_id in job_ids:
        await clear_staging(database, job_id)


async def _delete_batch(session: AsyncSession, job_id: uuid.UUID) -> int:
    # Lock the job before its rows: the same order as the deletion of the job itself.
    if await lock_job(session, job_id, _needs_no_rows(), key_share=True) is None:
        return 0
    deleted = 0
    for table in _TABLES:
        deleted += await _delete_some(session, table, job_id, BATCH_SIZE - deleted)
    return deleted


async def _delete_some(session: AsyncSession, table: Table, job_id: uuid.UUID, at_most: int) -> int:
    # Delete by row address: with a delete by key, each batch would search the whole table again.
    on_sqlite = session.get_bind().dialect.name == "sqlite"
    address: ColumnElement[object] = literal_column("rowid" if on_sqlite else "ctid")
    rows = select(address).select_from(table).where(table.c.job_id == job_id).limit(at_most)
    is_among = (
        address.in_(rows) if on_sqlite else address == any_(func.array(rows.scalar_subquery()))
    )
    deleted = await session.execute(delete(table).where(is_among))
    assert isinstance(deleted, CursorResult)
    return deleted.rowcount


def _jobs_to_clear() -> Select[uuid.UUID]:
    have_rows = union(*(_jobs_in(table) for table in _TABLES))
    return select(SyncJob.id).where(SyncJob.id.in_(have_rows), _needs_no_rows())


def _needs_no_rows() -> ColumnElement[bool]:
    return or_(SyncJob.status.not_in(UNFINISHED), SyncJob.own_work_done)


def _jobs_in(table: Table) -> Select[uuid.UUID]:
    """Select each job id once by stepping through the index.

    `DISTINCT` would read all rows of each job.
    """
    first = select(table.c.job_id).order_by(table.c.job_id).limit(1)
    step = select(first.scalar_subquery().label("job_id")).cte(
        f"jobs_in_{table.name}", recursive=True
    )
    following = first.where(table.c.job_id > step.c.job_id).scalar_subquery()
    steps = step.union_all(select(following).where(step.c.job_id.is_not(None)))
    return select(steps.c.job_id).where(steps.c.job_id.is_not(None))
