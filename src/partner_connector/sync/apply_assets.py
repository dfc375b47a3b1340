"""The shared assets of a partner, brought to what was read."""

from datetime import datetime

from sqlalchemy import and_, case, delete, exists, func, literal, null, select
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.database import upsert
from partner_connector.models import Asset, AssetShare, Partner, StagedAsset, SyncJob

_NONE_OF_ANY = dict.fromkeys(("ad_account", "page", "product_catalog", "pixel"), 0)


async def apply_assets(
    session: AsyncSession, job: SyncJob, at: datetime, *, complete: bool
) -> None:
    """Add and change assets and their shares.

    A digest counts from now on only where all that it stands for is applied.
    """
    staged = StagedAsset
    assets = upsert(session, Asset).from_select(
        ["id", "workspace_id", "integration_id", "type", "meta_id", "name", "created_at"],
        select(
            staged.id,
            literal(job.workspace_id),
            literal(job.integration_id),
            staged.type,
            staged.meta_id,
            staged.name,
            literal(at, Asset.created_at.type),
        )
        .where(staged.job_id == job.id)
        # In one order everywhere, since partners share assets and their checks run side by side.
        .order_by(staged.type, staged.meta_id),
    )
    await session.execute(
        assets.on_conflict_do_update(
            index_elements=["integration_id", "type", "meta_id"],
            set_={"name": assets.excluded.name},
            where=Asset.name != assets.excluded.name,
        )
    )
    share = {
        "partner_id": literal(job.partner_id),
        "asset_id": Asset.id,
        "workspace_id": literal(job.workspace_id),
        "direction": staged.direction,
        "permitted_tasks": staged.permitted_tasks,
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
    renewed = ("direction", "permitted_tasks", "access_digest")
    await session.execute(
        shares.on_conflict_do_update(
            index_elements=["partner_id", "asset_id"],
            set_={name: shares.excluded[name] for name in renewed},
        )
    )


async def forget_unshared_assets(session: AsyncSession, job: SyncJob) -> None:
    """Shares that were proven to have ended."""
    listed = exists().where(StagedAsset.job_id == job.id, StagedAsset.id == AssetShare.asset_id)
    await session.execute(
        delete(AssetShare)
        .where(AssetShare.partner_id == job.partner_id, ~listed)
        .execution_options(synchronize_session=False)
    )


async def count_assets(session: AsyncSession, partner: Partner) -> None:
    """How many are shared with the partner, by type."""
    by_type = await session.execute(
        select(Asset.type, func.count())
        .join(AssetShare, AssetShare.asset_id == Asset.id)
        .where(AssetShare.partner_id == partner.id)
        .group_by(Asset.type)
    )
    partner.shared_asset_counts = _NONE_OF_ANY | dict(by_type.all())
