"""How what a check has staged differs from what is known: predicates and counts, in SQL."""

from sqlalchemy import ColumnElement, and_, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from partner_connector.models import Asset, Grant, PartnerUser, StagedGrant, StagedUser, SyncJob

# What the people edges tell and an asset does not.
ENRICHMENT = ("kind", "email", "title", "role", "role_class", "two_factor", "finance_permission")
FACTS = ("name", *ENRICHMENT)


def has_access(job: SyncJob, meta_user_id: InstrumentedAttribute[str]) -> ColumnElement[bool]:
    """Whether this check saw the person on any asset."""
    return exists().where(StagedGrant.job_id == job.id, StagedGrant.meta_user_id == meta_user_id)


def _is_asset_of_staged_grant(job: SyncJob) -> ColumnElement[bool]:
    return and_(
        Asset.integration_id == job.integration_id,
        Asset.type == StagedGrant.asset_type,
        Asset.meta_id == StagedGrant.asset_meta_id,
    )


def staged_for_grant(job: SyncJob) -> ColumnElement[bool]:
    """A staged grant for the row of `Grant` at hand."""
    return (
        exists()
        .where(
            PartnerUser.id == Grant.partner_user_id,
            Asset.id == Grant.asset_id,
            StagedGrant.job_id == job.id,
            StagedGrant.meta_user_id == PartnerUser.meta_user_id,
            StagedGrant.via == Grant.via,
            _is_asset_of_staged_grant(job),
        )
        .correlate(Grant)
    )


async def count_differences(session: AsyncSession, job: SyncJob, *, remove: bool) -> None:
    """Count differences before they are applied. A user changes once, however much of it did."""
    staged, user = StagedUser, PartnerUser
    known = and_(user.partner_id == job.partner_id, user.meta_user_id == staged.meta_user_id)
    with_access = and_(staged.job_id == job.id, has_access(job, staged.meta_user_id))
    active = and_(known, user.state == "active")
    facts_differ = or_(
        *(getattr(user, name).is_distinct_from(getattr(staged, name)) for name in FACTS)
    )
    differs = or_(facts_differ, _grants_differ(job, remove=remove))

    async def number(query: ColumnElement[bool]) -> int:
        counted = select(func.count()).select_from(staged).outerjoin(user, active).where(query)
        return await session.scalar(counted) or 0

    job.seen = await number(with_access)
    job.added = await number(and_(with_access, user.id.is_(None)))
    job.changed = await number(and_(with_access, user.id.is_not(None), differs))
    job.unchanged = job.seen - job.added - job.changed
    job.removed = 0
    if remove:
        gone = select(func.count()).where(
            user.partner_id == job.partner_id,
            user.state == "active",
            ~has_access(job, user.meta_user_id),
        )
        job.removed = await session.scalar(gone) or 0


def _grants_differ(job: SyncJob, *, remove: bool) -> ColumnElement[bool]:
    """Whether the grants of the `PartnerUser` at hand are not those that were staged.

    What belongs to the outer row is said with `correlate`: left to itself SQLAlchemy would bring
    the table in once more, and any other user's equal grant would hide the difference.
    """
    same = (
        exists()
        .where(
            Grant.partner_user_id == PartnerUser.id,
            Grant.via == StagedGrant.via,
            Grant.tasks == StagedGrant.tasks,
            Asset.id == Grant.asset_id,
            _is_asset_of_staged_grant(job),
        )
        .correlate(PartnerUser, StagedGrant)
    )
    new_or_changed = (
        exists()
        .where(
            StagedGrant.job_id == job.id,
            StagedGrant.meta_user_id == PartnerUser.meta_user_id,
            ~same,
        )
        .correlate(PartnerUser)
    )
    if not remove:
        return new_or_changed
    staged = (
        exists()
        .where(
            Asset.id == Grant.asset_id,
            StagedGrant.job_id == job.id,
            StagedGrant.meta_user_id == PartnerUser.meta_user_id,
            StagedGrant.via == Grant.via,
            _is_asset_of_staged_grant(job),
        )
        .correlate(PartnerUser, Grant)
    )
    taken_away = (
        exists().where(Grant.partner_user_id == PartnerUser.id, ~staged).correlate(PartnerUser)
    )
    return or_(new_or_changed, taken_away)
