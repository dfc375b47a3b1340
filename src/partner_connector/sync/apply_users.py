"""From staging to partner users, in one transaction of set-based SQL.

Nobody is removed unless every edge of the partner was read to its end: a user that the check could
not see is not a user who left.
"""

from datetime import datetime

from sqlalchemy import and_, delete, exists, func, literal, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.clock import now
from partner_connector.database import upsert
from partner_connector.models import (
    Asset,
    AssetShare,
    Grant,
    Partner,
    PartnerUser,
    StagedAsset,
    StagedGrant,
    StagedUser,
    SyncJob,
)
from partner_connector.sync.differences import ENRICHMENT, FACTS, count_differences, has_access
from partner_connector.sync.removals import (
    proves_removals,
    remove_grants,
    retire_people,
)


async def apply_users(session: AsyncSession, job: SyncJob) -> None:
    """Bring the partner's assets, users and grants to what was read, and count the differences."""
    partner = await session.get_one(Partner, job.partner_id, with_for_update=True)
    # What was read is as old as the first read, whenever it is applied.
    at, as_of = now(), job.started_at or now()
    await _drop_what_this_attempt_did_not_list(session, job)
    await _keep_facts_that_were_not_read(session, job)
    complete = await proves_removals(session, job, partner)
    await _apply_assets(session, job, at, remove=complete)
    await count_differences(session, job, remove=complete)
    await _apply_people(session, job, at)
    await _apply_grants(session, job, at)
    if complete:
        await remove_grants(session, job)
        await retire_people(session, job, at)
        partner.data_as_of = as_of
        partner.people_without_access_count = await _people_without_access(session, job)
    partner.last_synced_at = at
    await _refresh_counts(session, partner)


async def _drop_what_this_attempt_did_not_list(session: AsyncSession, job: SyncJob) -> None:
    await session.execute(
        delete(StagedAsset).where(
            StagedAsset.job_id == job.id, StagedAsset.listed_in != job.attempt
        )
    )
    still_listed = exists().where(
        StagedAsset.job_id == job.id,
        StagedAsset.type == StagedGrant.asset_type,
        StagedAsset.meta_id == StagedGrant.asset_meta_id,
    )
    await session.execute(delete(StagedGrant).where(StagedGrant.job_id == job.id, ~still_listed))


async def _keep_facts_that_were_not_read(session: AsyncSession, job: SyncJob) -> None:
    """Someone whom only an asset named keeps the e-mail and role of the last check: they are
    unknown this time, not gone.
    """
    known = and_(
        PartnerUser.partner_id == job.partner_id,
        PartnerUser.meta_user_id == StagedUser.meta_user_id,
    )
    values = {
        name: select(getattr(PartnerUser, name)).where(known).scalar_subquery()
        for name in ENRICHMENT
    }
    await session.execute(
        update(StagedUser)
        .where(StagedUser.job_id == job.id, StagedUser.enriched.is_(False), exists().where(known))
        .values(values)
        .execution_options(synchronize_session=False)
    )


async def _apply_assets(session: AsyncSession, job: SyncJob, at: datetime, *, remove: bool) -> None:
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
    is_this_asset = and_(
        Asset.integration_id == job.integration_id,
        Asset.type == staged.type,
        Asset.meta_id == staged.meta_id,
    )
    shares = upsert(session, AssetShare).from_select(
        ["partner_id", "asset_id", "workspace_id", "direction", "permitted_tasks", "first_seen_at"],
        select(
            literal(job.partner_id),
            Asset.id,
            literal(job.workspace_id),
            staged.direction,
            staged.permitted_tasks,
            literal(at, AssetShare.first_seen_at.type),
        )
        .join(Asset, is_this_asset)
        .where(staged.job_id == job.id),
    )
    await session.execute(
        shares.on_conflict_do_update(
            index_elements=["partner_id", "asset_id"],
            set_={
                "direction": shares.excluded.direction,
                "permitted_tasks": shares.excluded.permitted_tasks,
            },
        )
    )
    if remove:
        listed = select(Asset.id).join(staged, is_this_asset).where(staged.job_id == job.id)
        await session.execute(
            delete(AssetShare)
            .where(AssetShare.partner_id == job.partner_id, AssetShare.asset_id.not_in(listed))
            .execution_options(synchronize_session=False)
        )


async def _apply_people(session: AsyncSession, job: SyncJob, at: datetime) -> None:
    staged = StagedUser
    instant = PartnerUser.first_seen_at.type
    people = upsert(session, PartnerUser).from_select(
        [
            "id",
            "workspace_id",
            "integration_id",
            "partner_id",
            "meta_user_id",
            *FACTS,
            "state",
            "asset_count",
            "first_seen_at",
            "last_seen_at",
            "created_at",
        ],
        select(
            staged.id,
            literal(job.workspace_id),
            literal(job.integration_id),
            literal(job.partner_id),
            staged.meta_user_id,
            *(getattr(staged, name) for name in FACTS),
            literal("active"),
            literal(0),
            literal(at, instant),
            literal(at, instant),
            literal(at, instant),
        ).where(staged.job_id == job.id, has_access(job, staged.meta_user_id)),
    )
    new_facts = {name: people.excluded[name] for name in (*FACTS, "state", "last_seen_at")}
    await session.execute(
        people.on_conflict_do_update(
            index_elements=["partner_id", "meta_user_id"],
            set_={**new_facts, "removed_at": None},
        )
    )


async def _apply_grants(session: AsyncSession, job: SyncJob, at: datetime) -> None:
    staged = StagedGrant
    grants = upsert(session, Grant).from_select(
        [
            "partner_user_id",
            "asset_id",
            "via",
            "workspace_id",
            "partner_id",
            "tasks",
            "full_control",
            "granted_at",
        ],
        select(
            PartnerUser.id,
            Asset.id,
            staged.via,
            literal(job.workspace_id),
            literal(job.partner_id),
            staged.tasks,
            staged.full_control,
            literal(at, Grant.granted_at.type),
        )
        .join(
            PartnerUser,
            and_(
                PartnerUser.partner_id == job.partner_id,
                PartnerUser.meta_user_id == staged.meta_user_id,
            ),
        )
        .join(
            Asset,
            and_(
                Asset.integration_id == job.integration_id,
                Asset.type == staged.asset_type,
                Asset.meta_id == staged.asset_meta_id,
            ),
        )
        .where(staged.job_id == job.id),
    )
    await session.execute(
        grants.on_conflict_do_update(
            index_elements=["partner_user_id", "asset_id", "via"],
            set_={"tasks": grants.excluded.tasks, "full_control": grants.excluded.full_control},
        )
    )


async def _people_without_access(session: AsyncSession, job: SyncJob) -> int:
    without_access = select(func.count()).where(
        StagedUser.job_id == job.id,
        StagedUser.kind == "person",
        ~has_access(job, StagedUser.meta_user_id),
    )
    return await session.scalar(without_access) or 0


async def _refresh_counts(session: AsyncSession, partner: Partner) -> None:
    assets_of_user = (
        select(func.count(Grant.asset_id.distinct()))
        .where(Grant.partner_user_id == PartnerUser.id)
        .scalar_subquery()
    )
    await session.execute(
        update(PartnerUser)
        .where(PartnerUser.partner_id == partner.id)
        .values(asset_count=assets_of_user)
        .execution_options(synchronize_session=False)
    )
    active = select(func.count()).where(
        PartnerUser.partner_id == partner.id, PartnerUser.state == "active"
    )
    partner.user_count = await session.scalar(active) or 0
    by_type = await session.execute(
        select(Asset.type, func.count())
        .join(AssetShare, AssetShare.asset_id == Asset.id)
        .where(AssetShare.partner_id == partner.id)
        .group_by(Asset.type)
    )
    none_of_any = dict.fromkeys(("ad_account", "page", "product_catalog", "pixel"), 0)
    partner.shared_asset_counts = none_of_any | dict(by_type.tuples().all())
