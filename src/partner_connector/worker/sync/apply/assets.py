"""Application of staged assets to the stored assets and shares of a partner."""

from datetime import datetime

from sqlalchemy import and_, case, delete, exists, func, literal, null, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.facts import ASSET, SHARE, columns
from partner_connector.db.models import Asset, AssetShare, Partner, StagedAsset, SyncJob
from partner_connector.db.sql import upsert

_ASSET_KEY = ["integration_id", "type", "meta_id"]
_ZERO_COUNTS = dict.fromkeys(("ad_account", "page", "product_catalog", "pixel"), 0)


async def store_assets(session: AsyncSession, job: SyncJob, at: datetime) -> None:
    """Insert a row for every staged asset, before other rows refer to its id.

    Sync jobs of partners with a common asset run concurrently: the second job waits here for the
    first, and then finds the asset stored. No API shows an asset without a share.
    """
    assets = _staged_as_assets(session, job, at)
    await session.execute(assets.on_conflict_do_nothing(index_elements=_ASSET_KEY))


async def apply_assets(
    session: AsyncSession, job: SyncJob, at: datetime, *, complete: bool
) -> None:
    """Store the names and shares that were read.

    A new access digest is stored only if the access that it describes is applied completely.
    """
    staged = StagedAsset
    assets = _staged_as_assets(session, job, at)
    stored, read = columns(Asset, ASSET), {name: assets.excluded[name] for name in ASSET}
    await session.execute(
        assets.on_conflict_do_update(
            index_elements=_ASSET_KEY,
            set_=read,
            where=or_(*(stored[name].is_distinct_from(read[name]) for name in ASSET)),
        )
    )
    share = {
        "partner_id": literal(job.partner_id),
        "asset_id": Asset.id,
        "workspace_id": literal(job.workspace_id),
        **columns(staged, SHARE),
        "access_digest": (
            staged.access_digest
            if complete
            else case((staged.is_unchanged, staged.access_digest), else_=null())
        ),
        "first_seen_at": literal(at, AssetShare.first_seen_at.type),
    }
    is_this_asset = and_(
        Asset.integration_id == job.integration_id,
        Asset.type == staged.type,
        Asset.meta_id == staged.meta_id,
    )
    shares = upsert(session, AssetShare).from_select(
        list(share),
        select(*share.values()).join(Asset, is_this_asset).where(staged.job_id == job.id),
    )
    renewed = (*SHARE, "access_digest")
    await session.execute(
        shares.on_conflict_do_update(
            index_elements=["partner_id", "asset_id"],
            set_={name: shares.excluded[name] for name in renewed},
        )
    )


def _staged_as_assets(
    session: AsyncSession, job: SyncJob, at: datetime
) -> sqlite.Insert | postgresql.Insert:
    """Return an insert in a fixed order, so that two jobs cannot deadlock."""
    staged = StagedAsset
    return upsert(session, Asset).from_select(
        ["id", "workspace_id", "integration_id", "type", "meta_id", *ASSET, "created_at"],
        select(
            staged.id,
            literal(job.workspace_id),
            literal(job.integration_id),
            staged.type,
            staged.meta_id,
            *columns(staged, ASSET).values(),
            literal(at, Asset.created_at.type),
        )
        .where(staged.job_id == job.id)
        .order_by(staged.type, staged.meta_id),
    )


async def delete_ended_shares(session: AsyncSession, job: SyncJob) -> None:
    """Delete shares that a complete read no longer lists."""
    listed = exists().where(StagedAsset.job_id == job.id, StagedAsset.id == AssetShare.asset_id)
    await session.execute(
        delete(AssetShare).where(AssetShare.partner_id == job.partner_id, ~listed)
    )


async def count_assets(session: AsyncSession, partner: Partner) -> None:
    """Update the partner's number of shared assets by type."""
    by_type = await session.execute(
        select(Asset.type, func.count())
        .join(AssetShare, AssetShare.asset_id == Asset.id)
        .where(AssetShare.partner_id == partner.id)
        .group_by(Asset.type)
    )
    partner.shared_asset_counts = _ZERO_COUNTS | dict(by_type.all())
