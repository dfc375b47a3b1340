"""Status of a parent job, derived from its children."""

import uuid
from collections import Counter

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.clock import now
from partner_connector.db.locks import lock_parent_job
from partner_connector.db.models import SyncJob
from partner_connector.db.models.sync_job import UNFINISHED
from partner_connector.features.sync_jobs.recording import recorded

# The parent gets the first of these statuses that at least one child has.
_ORDER = ("failed", "halted", "waiting", "running", "queued")


def status_from_children(children: Counter[str]) -> str:
    """Return the status of a parent from the number of its children in each status."""
    for status in _ORDER:
        if children[status]:
            return status
    # A parent is `completed` only if all its children are.
    return "cancelled" if children["cancelled"] else "completed"


async def update_parent(session: AsyncSession, job: SyncJob) -> None:
    """Update the parent after a change of this job, if it has a parent. Locks the parent."""
    if job.parent_id is not None:
        await session.flush()
        await roll_up(session, job.parent_id)


async def roll_up(session: AsyncSession, parent_id: uuid.UUID) -> None:
    """Update the parent in the transaction that changed a child.

    The parent's row is locked first. Otherwise two children that end at the same moment would each
    see the other child as running, and the parent would never end. A parent ends when its only
    unfinished children are halted. A later decision on their plans changes the parent's status, but
    not its `finished_at`.
    """
    parent = await lock_parent_job(session, parent_id)
    if parent is None or not parent.own_work_done:
        return
    rows = await session.execute(
        select(
            SyncJob.status,
            func.count(),
            func.max(SyncJob.resume_at),
            # The parent has one reason: `retrying` if any child has it, since it sorts last.
            func.max(SyncJob.waiting_reason),
        )
        .where(SyncJob.parent_id == parent_id)
        .group_by(SyncJob.status)
    )
    children: Counter[str] = Counter()
    resume_at = reason = None
    for status, count, latest_resume, latest_reason in rows:
        children[status] = count
        if status == "waiting":
            resume_at, reason = latest_resume, latest_reason
    partial_children = await session.scalar(
        select(func.count()).where(SyncJob.parent_id == parent_id, SyncJob.partial)
    )
    unfinished = sum(children[status] for status in UNFINISHED)
    async with recorded(session, parent):
        parent.status = status_from_children(children)
        parent.resume_at = resume_at if parent.status == "waiting" else None
        parent.waiting_reason = reason if parent.status == "waiting" else None
        parent.total = children.total()
        parent.done = children.total() - unfinished
        parent.phase = "checking_partners" if unfinished else "finished"
        parent.partial = parent.partial or bool(partial_children)
        if unfinished == children["halted"]:
            parent.finished_at = parent.finished_at or now()
