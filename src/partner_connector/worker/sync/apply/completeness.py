"""Completeness of a read, which allows removals (decision 0008)."""

from sqlalchemy import CursorResult, delete, exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.models import StagedAsset, StagedGrant, SyncJob
from partner_connector.worker.sync.apply.diff import is_of_staged_asset


async def delete_unlisted_staging(session: AsyncSession, job: SyncJob) -> None:
    """Delete staged shares of earlier attempts that this attempt did not list."""
    dropped = await session.execute(
        delete(StagedAsset).where(
            StagedAsset.job_id == job.id, StagedAsset.listed_in != job.attempt
        )
    )
    assert isinstance(dropped, CursorResult)
    if dropped.rowcount == 0:
        return
    still_listed = exists().where(is_of_staged_asset())
    await session.execute(delete(StagedGrant).where(StagedGrant.job_id == job.id, ~still_listed))


async def is_complete(session: AsyncSession, job: SyncJob) -> bool:
    """Return True if all of the partner was read and the token sees no less than before.

    Assets that an operator accepted as hidden need no read.
    """
    not_read = exists().where(
        StagedAsset.job_id == job.id, StagedAsset.state.not_in(("read", "out_of_sight"))
    )
    return not job.partial and not await session.scalar(select(not_read))
