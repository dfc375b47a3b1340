"""The safeguard: a check that would remove many people halts, and waits for somebody's word."""

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
from partner_connector.features.sync_jobs.roll_up import tell_parent

# Over a weekend; what was read grows old meanwhile, and a new check makes a new plan.
_PLAN_LIVES_FOR = timedelta(hours=72)
_ROWS_AT_A_TIME = 1000


async def objects(
    session: AsyncSession, job: SyncJob, partner: Partner, planned: Counter[str]
) -> bool:
    """Whether more would be removed than is allowed without somebody's word for this very plan."""
    leavers = planned["user_left"]
    if leavers == 0 or await _nothing_is_shared(session, job, partner):
        return False
    integration = await session.get_one(Integration, job.integration_id)
    if is_allowed(leavers, await _users(session, job), integration.safeguard_percent):
        return False
    return job.approved_plan is None or job.approved_plan != await _digest(session, job)


async def _nothing_is_shared(session: AsyncSession, job: SyncJob, partner: Partner) -> bool:
    """Neither side lists anything, which whoever owns it confirmed asset by asset."""
    listed = exists().where(StagedAsset.job_id == job.id)
    return partner.presence == "no_longer_shared" and not await session.scalar(select(listed))


def is_allowed(leavers: int, users: int, percent: int) -> bool:
    """One may always go, so that small partners are not stuck; all of them never by themselves."""
    if percent == 100:  # noqa: PLR2004 - the guard is off
        return True
    return leavers < users and leavers <= max(1, users * percent // 100)


async def halt(
    session: AsyncSession, job: SyncJob, planned: Counter[str], token: Token | None
) -> None:
    """Nothing is applied; the plan stays as it is and can be approved until it expires."""
    integration = await session.get_one(Integration, job.integration_id)
    made_at = now()
    plan = {
        "digest": await _digest(session, job),
        "users": await _users(session, job),
        "removals": planned["user_left"],
        "percent": integration.safeguard_percent,
        "counts": dict(planned),
        "created_at": made_at.isoformat(),
        # Whoever replaces the token meanwhile has another view: then this plan is stale.
        "token_id": None if token is None else str(token.id),
    }
    async with recorded(session, job):
        job.plan, job.plan_expires_at = plan, made_at + _PLAN_LIVES_FOR
        job.approved_plan = None
        job.status = "halted"
        job.phase, job.done, job.total = "applying", 0, None
    await tell_parent(session, job)


async def _users(session: AsyncSession, job: SyncJob) -> int:
    active = select(func.count()).where(
        PartnerUser.partner_id == job.partner_id, PartnerUser.state == "active"
    )
    return await session.scalar(active) or 0


async def _digest(session: AsyncSession, job: SyncJob) -> str:
    """What the plan is recognised by: every change in it, in its order."""
    plan = PlannedChange
    via = func.coalesce(plan.after["via"].as_string(), plan.before["via"].as_string())
    digest = hashlib.sha256()
    rows = await session.stream(
        select(plan.kind, plan.partner_user_id, plan.asset_id, plan.before, plan.after)
        .where(plan.job_id == job.id)
        # By what it is about, since a database may find the same rows in another order.
        .order_by(plan.kind, plan.partner_user_id, plan.asset_id, via)
        .execution_options(yield_per=_ROWS_AT_A_TIME)
    )
    async for row in rows:
        digest.update(repr(tuple(row)).encode())
    return digest.hexdigest()
