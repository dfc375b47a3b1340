"""The shared assets of a partner, brought to what was read."""

from datetime import datetime

from sqlalchemy import and_, case, delete, exists, func, literal, null, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.facts import ASSET, SHARE, columns
from partner_connector.db.models import Asset, AssetShare, Partner, StagedAsset, SyncJob
from partner_connector.db.sql import upsert

_WHAT_IT_IS_IN_META = ["integration_id", "type", "meta_id"]
_NONE_OF_ANY = dict.fromkeys(("ad_account", "page", "product_catalog", "pixel"), 0)


async def store_assets(session: AsyncSession, job: SyncJob, at: datetime) -> None:
    """Give every staged asset a row, before anything names it by its id.

    Checks of partners that have an asset in common run side by side: whoever comes second waits
    here for the first, and then knows the asset. A row by itself is shown to nobody.
    """
    assets = _staged_as_assets(session, job, at)
    await session.execute(assets.on_conflict_do_nothing(index_elements=_WHAT_IT_IS_IN_META))


async def apply_assets(
    session: AsyncSession, job: SyncJob, at: datetime, *, complete: bool
) -> None:
    """Bring names and shares to what was read.

    A digest counts from now on only where all that it stands for is applied.
    """
    staged = StagedAsset
    assets = _staged_as_assets(session, job, at)
    stored, told = columns(Asset, ASSET), {name: assets.excluded[name] for name in ASSET}
    await session.execute(
        assets.on_conflict_do_update(
            index_elements=_WHAT_IT_IS_IN_META,
            set_=told,
            where=or_(*(stored[name].is_distinct_from(told[name]) for name in ASSET)),
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
    """In one order everywhere, so that two checks never wait for each other."""
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


async def forget_unshared_assets(session: AsyncSession, job: SyncJob) -> None:
    """Shares that were proven to have ended."""
    listed = exists().where(StagedAsset.job_id == job.id, StagedAsset.id == AssetShare.asset_id)
    await session.execute(
        delete(AssetShare).where(AssetShare.partner_id == job.partner_id, ~listed)
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
