"""What was carried out is told: planned changes become rows of the feed, in their order."""

from datetime import datetime

from sqlalchemy import func, insert, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.models import Change, ChangeFeed, PlannedChange, SyncJob
from partner_connector.db.sql import upsert
from partner_connector.features.webhooks import change_events


async def publish(session: AsyncSession, job: SyncJob, at: datetime) -> None:
    """Append the job's plan to the feed of its workspace.

    The row that counts is held until the transaction ends: sequences become visible in their order,
    so that nobody who reads `after=N` misses one.
    """
    planned = PlannedChange.job_id == job.id
    first_id = await session.scalar(select(func.min(PlannedChange.id)).where(planned))
    last_id = await session.scalar(select(func.max(PlannedChange.id)).where(planned))
    if first_id is None or last_id is None:
        return
    # As many sequences as there are ids from the first to the last: plans that are made side by
    # side may leave gaps, which is cheaper than to number a million rows anew.
    number = last_id - first_id + 1
    counter = upsert(session, ChangeFeed).values(
        workspace_id=job.workspace_id, last_sequence=number
    )
    last = await session.scalar(
        counter.on_conflict_do_update(
            index_elements=["workspace_id"],
            set_={"last_sequence": ChangeFeed.last_sequence + number},
        ).returning(ChangeFeed.last_sequence)
    )
    assert last is not None
    told = {
        "workspace_id": literal(job.workspace_id),
        "sequence": PlannedChange.id + (last - last_id),
        "kind": PlannedChange.kind,
        "occurred_at": literal(at, Change.occurred_at.type),
        "partner_id": PlannedChange.partner_id,
        "partner_user_id": PlannedChange.partner_user_id,
        "asset_id": PlannedChange.asset_id,
        "before": PlannedChange.before,
        "after": PlannedChange.after,
        "job_id": literal(job.id),
    }
    await session.execute(
        insert(Change).from_select(list(told), select(*told.values()).where(planned))
    )
    await change_events.published(session, job, last - number + 1, last, at)
