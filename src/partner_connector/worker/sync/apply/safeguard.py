"""Safeguard: a sync job that would remove many users halts and waits for approval."""

import hashlib
from collections import Counter
from datetime import timedelta

from sqlalchemy import exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.clock import now
from partner_connector.db.models import (
    Integration,
    Partner,
    PartnerUser,
    PlannedChange,
    StagedAsset,
    SyncJob,
    Token,
)
from partner_connector.features.sync_jobs.recording import recorded
from partner_connector.features.sync_jobs.roll_up import update_parent

# Long enough for a weekend, and short enough that the data of the plan is not too old.
_PLAN_LIFETIME = timedelta(hours=72)
_BATCH_SIZE = 1000


async def requires_approval(
    session: AsyncSession, job: SyncJob, partner: Partner, planned: Counter[str]
) -> bool:
    """Return True if the plan removes more users than allowed and is not approved."""
    removals = planned["user_left"]
    if removals == 0 or await _nothing_is_shared(session, job, partner):
        return False
    integration = await session.get_one(Integration, job.integration_id)
    if is_allowed(removals, await _count_active_users(session, job), integration.safeguard_percent):
        return False
    return job.approved_plan is None or job.approved_plan != await _plan_digest(session, job)


async def _nothing_is_shared(session: AsyncSession, job: SyncJob, partner: Partner) -> bool:
    """Return True if no asset is shared: each asset's owner confirmed that the share ended."""
    listed = exists().where(StagedAsset.job_id == job.id)
    return partner.presence == "no_longer_shared" and not await session.scalar(select(listed))


def is_allowed(removals: int, users: int, percent: int) -> bool:
    """Return True if the removals need no approval.

    At any `percent` one removal is allowed, so that small partners are not blocked. But the removal
    of all users, even of a single one, always needs approval, unless `percent` is 100.
    """
    if percent == 100:  # noqa: PLR2004 - the safeguard is off
        return True
    return removals < users and removals <= max(1, users * percent // 100)


async def halt(
    session: AsyncSession, job: SyncJob, planned: Counter[str], token: Token | None
) -> None:
    """Halt the job without applying anything. Its plan can be approved until it expires."""
    integration = await session.get_one(Integration, job.integration_id)
    made_at = now()
    plan = {
        "digest": await _plan_digest(session, job),
        "users": await _count_active_users(session, job),
        "removals": planned["user_left"],
        "percent": integration.safeguard_percent,
        "counts": dict(planned),
        "created_at": made_at.isoformat(),
        # A replaced token may see other assets, which makes this plan stale.
        "token_id": None if token is None else str(token.id),
    }
    async with recorded(session, job):
        job.plan, job.plan_expires_at = plan, made_at + _PLAN_LIFETIME
        job.approved_plan = None
        job.status = "halted"
        job.phase, job.done, job.total = "applying", 0, None
    await update_parent(session, job)


async def _count_active_users(session: AsyncSession, job: SyncJob) -> int:
    active = select(func.count()).where(
        PartnerUser.partner_id == job.partner_id, PartnerUser.state == "active"
    )
    return await session.scalar(active) or 0


async def _plan_digest(session: AsyncSession, job: SyncJob) -> str:
    """Return the hash of all changes of the plan in a fixed order."""
    plan = PlannedChange
    via = func.coalesce(plan.after["via"].as_string(), plan.before["via"].as_string())
    digest = hashlib.sha256()
    rows = await session.stream(
        select(plan.kind, plan.partner_user_id, plan.asset_id, plan.before, plan.after)
        .where(plan.job_id == job.id)
        # Order by content: a database may return the same rows in another order.
        .order_by(plan.kind, plan.partner_user_id, plan.asset_id, via)
        .execution_options(yield_per=_BATCH_SIZE)
    )
    async for row in rows:
        digest.update(repr(tuple(row)).encode())
    return digest.hexdigest()
