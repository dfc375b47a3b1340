"""Publication of applied changes: planned changes become rows of the change feed, in order."""

from datetime import datetime

from sqlalchemy import func, insert, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.models import Change, ChangeFeed, PlannedChange, SyncJob
from partner_connector.db.sql import upsert
from partner_connector.features.webhooks import change_events


async def publish(session: AsyncSession, job: SyncJob, at: datetime) -> None:
    """Append the job's plan to the feed of its workspace.

    The counter's row stays locked until the transaction ends. So sequences become visible in
    order, and a consumer who reads `after=N` misses none.
    """
    planned = PlannedChange.job_id == job.id
    first_id = await session.scalar(select(func.min(PlannedChange.id)).where(planned))
    last_id = await session.scalar(select(func.max(PlannedChange.id)).where(planned))
    if first_id is None or last_id is None:
        return
    # One sequence for each id from the first to the last. Plans made concurrently may leave
    # gaps, which is cheaper than to number a million rows again.
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
    row = {
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
        insert(Change).from_select(list(row), select(*row.values()).where(planned))
    )
    await change_events.write_change_events(session, job, last - number + 1, last, at)
