"""A parent job shows what its children are at."""

import uuid
from collections import Counter

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.clock import now
from partner_connector.db.locks import lock_parent_job
from partner_connector.db.models import SyncJob
from partner_connector.db.models.sync_job import UNFINISHED
from partner_connector.features.sync_jobs.recording import recorded

# The first state that any child is in decides.
_ORDER = ("failed", "halted", "waiting", "running", "queued")


def rolled_up(children: Counter[str]) -> str:
    """The parent's status for so many children in each state. Pure."""
    for status in _ORDER:
        if children[status]:
            return status
    # Complete is said only where all of it is.
    return "cancelled" if children["cancelled"] else "completed"


async def tell_parent(session: AsyncSession, job: SyncJob) -> None:
    """Roll the parent up, once this job's row is as it should be. Locks the parent."""
    if job.parent_id is not None:
        await session.flush()
        await roll_up(session, job.parent_id)


async def roll_up(session: AsyncSession, parent_id: uuid.UUID) -> None:
    """Bring the parent up to date, in the transaction that changed a child.

    The parent's row is locked first: two children that end at the same moment would otherwise
    each see the other one running, and the parent would never end. A parent has ended when only
    plans wait for an answer: whatever follows from those changes its status and not its end.
    """
    parent = await lock_parent_job(session, parent_id)
    if parent is None or not parent.own_work_done:
        return
    rows = await session.execute(
        select(
            SyncJob.status,
            func.count(),
            func.max(SyncJob.resume_at),
            # One reason for all; `retrying` comes after `rate_limited`.
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
        parent.status = rolled_up(children)
        parent.resume_at = resume_at if parent.status == "waiting" else None
        parent.waiting_reason = reason if parent.status == "waiting" else None
        parent.total = children.total()
        parent.done = children.total() - unfinished
        parent.phase = "checking_partners" if unfinished else "finished"
        parent.partial = parent.partial or bool(partial_children)
        if unfinished == children["halted"]:
            parent.finished_at = parent.finished_at or now()
