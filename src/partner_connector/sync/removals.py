"""Who may be taken away, and taking them away. The proof is decision 0008."""

from datetime import datetime

from sqlalchemy import delete, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.models import (
    Grant,
    Integration,
    Partner,
    PartnerUser,
    StagedAsset,
    SyncJob,
)
from partner_connector.sync import progress
from partner_connector.sync.differences import has_access, staged_for_grant


async def proves_removals(session: AsyncSession, job: SyncJob, partner: Partner) -> bool:
    """Whether everything was read and the safeguard allows what would go; else the job says so."""
    not_read = exists().where(StagedAsset.job_id == job.id, StagedAsset.state != "read")
    if job.partial or await session.scalar(select(not_read)):
        return False
    active = select(func.count()).where(
        PartnerUser.partner_id == job.partner_id, PartnerUser.state == "active"
    )
    leaving = active.where(~has_access(job, PartnerUser.meta_user_id))
    leavers, users = await session.scalar(leaving) or 0, await session.scalar(active) or 0
    integration = await session.get_one(Integration, job.integration_id)
    if partner.presence == "no_longer_shared" or _is_allowed(leavers, users, integration):
        # That nothing is shared any more was confirmed asset by asset, by whoever owns it.
        return True
    detail = (
        f"{leavers} of {users} users would be removed, more than the "
        f"{integration.safeguard_percent} % that the integration's safeguard allows: nothing was "
        "removed. If it is right, raise `safeguard_percent` and check for updates again."
    )
    progress.warn(job, "safeguard", None, detail)
    return False


def _is_allowed(leavers: int, users: int, integration: Integration) -> bool:
    """One may always go, so that small partners are not stuck; all of them never by themselves."""
    if leavers == 0 or integration.safeguard_percent == 100:  # noqa: PLR2004 - the guard is off
        return True
    return leavers < users and leavers <= max(1, users * integration.safeguard_percent // 100)


async def remove_grants(session: AsyncSession, job: SyncJob) -> None:
    await session.execute(
        delete(Grant)
        .where(Grant.partner_id == job.partner_id, ~staged_for_grant(job))
        .execution_options(synchronize_session=False)
    )


async def retire_people(session: AsyncSession, job: SyncJob, at: datetime) -> None:
    await session.execute(
        update(PartnerUser)
        .where(
            PartnerUser.partner_id == job.partner_id,
            PartnerUser.state == "active",
            ~has_access(job, PartnerUser.meta_user_id),
        )
        .values(state="removed", removed_at=at)
        .execution_options(synchronize_session=False)
    )
