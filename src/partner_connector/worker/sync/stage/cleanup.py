"""What jobs leave behind in the staging tables, cleared away in small pieces.

A job that ends has up to millions of rows there. They are not deleted in the transaction that ends
it: that would hold its locks, and on SQLite every writer, for as long as it takes.
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

# Some tenths of a second of deleting.
ROWS_AT_A_TIME = 20_000
# Between two pieces, so that others who write to a SQLite file get their turn.
_REST_SECONDS = 0.05

_NAMES = ("staged_grants", "planned_changes", "staged_users", "staged_assets", "staged_partners")
_TABLES = [Base.metadata.tables[name] for name in _NAMES]


async def clear_staging(database: Database, job_id: uuid.UUID) -> None:
    """Delete everything that was staged and planned for a job that needs it no more.

    One transaction for each `ROWS_AT_A_TIME`; cut off in the middle, it can be called again. What
    belongs to a job that may still go on stays: with less of it, people would seem to be gone.
    """
    while True:
        async with database.writing() as session:
            deleted = await _delete_piece(session, job_id)
        if deleted < ROWS_AT_A_TIME:
            return
        await asyncio.sleep(_REST_SECONDS)


async def clear_ended_jobs(database: Database) -> None:
    """The same for every job whose own clearing was cut off, or that ended in another way."""
    async with database.reading() as session:
        job_ids = list(await session.scalars(_jobs_to_clear()))
    for job_id in job_ids:
        await clear_staging(database, job_id)


async def _delete_piece(session: AsyncSession, job_id: uuid.UUID) -> int:
    # Before the rows, as by the deletion of the job itself, which goes on to its rows.
    if await lock_job(session, job_id, _needs_its_rows_no_more(), key_share=True) is None:
        return 0
    deleted = 0
    for table in _TABLES:
        deleted += await _delete_some(session, table, job_id, ROWS_AT_A_TIME - deleted)
    return deleted


async def _delete_some(session: AsyncSession, table: Table, job_id: uuid.UUID, at_most: int) -> int:
    # A row by its address: by its key each piece would be looked for anew in all of the table.
    on_sqlite = session.get_bind().dialect.name == "sqlite"
    address: ColumnElement[object] = literal_column("rowid" if on_sqlite else "ctid")
    some = select(address).select_from(table).where(table.c.job_id == job_id).limit(at_most)
    is_among = (
        address.in_(some) if on_sqlite else address == any_(func.array(some.scalar_subquery()))
    )
    deleted = await session.execute(delete(table).where(is_among))
    assert isinstance(deleted, CursorResult)
    return deleted.rowcount


def _jobs_to_clear() -> Select[uuid.UUID]:
    have_rows = union(*(_jobs_in(table) for table in _TABLES))
    return select(SyncJob.id).where(SyncJob.id.in_(have_rows), _needs_its_rows_no_more())


def _needs_its_rows_no_more() -> ColumnElement[bool]:
    return or_(SyncJob.status.not_in(UNFINISHED), SyncJob.own_work_done)


def _jobs_in(table: Table) -> Select[uuid.UUID]:
    """Each job once, stepping through the index from one to the next: `DISTINCT` would read all
    rows of a job to find that there is one.
    """
    first = select(table.c.job_id).order_by(table.c.job_id).limit(1)
    step = select(first.scalar_subquery().label("job_id")).cte(
        f"jobs_in_{table.name}", recursive=True
    )
    following = first.where(table.c.job_id > step.c.job_id).scalar_subquery()
    steps = step.union_all(select(following).where(step.c.job_id.is_not(None)))
    return select(steps.c.job_id).where(steps.c.job_id.is_not(None))
