"""Columns and conditions that compare staged rows with stored rows, for plan and apply.

`resolve_ids` runs first: then every staged row has the id of its stored row, or the id that a new
row will get.
"""

import uuid
from collections.abc import Iterable

from sqlalchemy import ColumnElement, CursorResult, and_, exists, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute, aliased

from partner_connector.db.facts import PERSON
from partner_connector.db.models import (
    Asset,
    AssetShare,
    Grant,
    PartnerUser,
    StagedAsset,
    StagedGrant,
    StagedUser,
    SyncJob,
)
from partner_connector.worker.sync import progress

# Facts that only the business's lists of people return, not the rows of assets.
ENRICHMENT = [name for name, fact in PERSON.items() if not fact.on_assets]
FACTS = [*(name for name in PERSON if name not in ENRICHMENT), *ENRICHMENT]


async def resolve_ids(session: AsyncSession, job: SyncJob) -> None:
    """Set the ids of staged assets and people to those of their stored rows."""
    asset = select(Asset.id).where(
        Asset.integration_id == job.integration_id,
        Asset.type == StagedAsset.type,
        Asset.meta_id == StagedAsset.meta_id,
    )
    user = select(PartnerUser.id).where(
        PartnerUser.partner_id == job.partner_id,
        PartnerUser.meta_user_id == StagedUser.meta_user_id,
    )
    for table, known in ((StagedAsset, asset), (StagedUser, user)):
        await session.execute(
            update(table)
            .where(table.job_id == job.id, known.exists())
            .values(id=known.scalar_subquery())
        )


async def mark_users_with_grants(session: AsyncSession, job: SyncJob) -> None:
    """Set `has_grants` of the staged users."""
    named = select(StagedGrant.meta_user_id).where(StagedGrant.job_id == job.id)
    # Two updates, each with a condition. If one update set the condition's value, PostgreSQL would
    # scan the grants once for each user.
    has_some: ColumnElement[bool] = StagedUser.meta_user_id.in_(named)
    for has_grants, which in ((False, StagedUser.has_grants.is_(True)), (True, has_some)):
        await session.execute(
            update(StagedUser)
            .where(StagedUser.job_id == job.id, which)
            .values(has_grants=has_grants)
        )


def is_of_staged_asset() -> ColumnElement[bool]:
    """Return the condition that joins `StagedGrant` to its `StagedAsset`."""
    return and_(
        StagedAsset.job_id == StagedGrant.job_id,
        StagedAsset.type == StagedGrant.asset_type,
        StagedAsset.meta_id == StagedGrant.asset_meta_id,
    )


def has_access(
    job: SyncJob,
    user_id: InstrumentedAttribute[uuid.UUID],
    meta_user_id: InstrumentedAttribute[str],
) -> ColumnElement[bool]:
    """Return the condition that a user has a staged grant, or a grant on an unchanged asset."""
    named = aliased(StagedUser)
    staged = exists().where(
        named.job_id == job.id, named.meta_user_id == meta_user_id, named.has_grants
    )
    unchanged = (
        exists()
        .where(Grant.partner_user_id == user_id, StagedAsset.id == Grant.asset_id)
        .where(StagedAsset.job_id == job.id, StagedAsset.is_unchanged)
        # Access through a group is read again each time, except on a hidden asset.
        .where(or_(Grant.via == "direct", StagedAsset.state == "out_of_sight"))
    )
    return or_(staged, unchanged)


def differs(names: Iterable[str]) -> ColumnElement[bool]:
    """Return the condition that a `StagedUser` and its `PartnerUser` differ in any of `names`."""
    return or_(
        *(getattr(PartnerUser, name).is_distinct_from(getattr(StagedUser, name)) for name in names)
    )


async def reset_stale_digests(session: AsyncSession, job: SyncJob) -> None:
    """Mark assets as unread if the digest that showed them unchanged is no longer stored."""
    same = exists().where(
        AssetShare.partner_id == job.partner_id,
        AssetShare.asset_id == StagedAsset.id,
        AssetShare.access_digest.is_not_distinct_from(StagedAsset.access_digest),
    )
    reset = await session.execute(
        update(StagedAsset)
        .where(StagedAsset.job_id == job.id, StagedAsset.is_unchanged, ~same)
        .values(is_unchanged=False, state="unread")
    )
    assert isinstance(reset, CursorResult)
    if reset.rowcount:
        detail = (
            f"{reset.rowcount} assets were compared with stored access that is no longer current. "
            "The next check for updates reads these assets again."
        )
        progress.warn(job, "compared_anew", None, detail)
