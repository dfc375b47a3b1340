"""What a check has staged beside what is known: the columns and conditions of plan and apply.

By the time these are used, `resolve_ids` has given every staged row the id of the row that it is
about, or the one that it will get.
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

# What the people edges tell and an asset does not.
ENRICHMENT = [name for name, fact in PERSON.items() if not fact.on_assets]
FACTS = [*(name for name in PERSON if name not in ENRICHMENT), *ENRICHMENT]


async def resolve_ids(session: AsyncSession, job: SyncJob) -> None:
    """Give staged assets and people the ids under which they are known."""
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


async def note_who_has_grants(session: AsyncSession, job: SyncJob) -> None:
    """Look through the staged grants once for whom they name.

    As a condition and not as a value: PostgreSQL would look through them once a person else.
    """
    named = select(StagedGrant.meta_user_id).where(StagedGrant.job_id == job.id)
    has_some: ColumnElement[bool] = StagedUser.meta_user_id.in_(named)
    for has_grants, which in ((False, StagedUser.has_grants.is_(True)), (True, has_some)):
        await session.execute(
            update(StagedUser)
            .where(StagedUser.job_id == job.id, which)
            .values(has_grants=has_grants)
        )


def is_of_staged_asset() -> ColumnElement[bool]:
    """Joins `StagedGrant` to its `StagedAsset`."""
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
    """Whether this check saw the person on any asset: staged, or on one that is as it was."""
    named = aliased(StagedUser)
    staged = exists().where(
        named.job_id == job.id, named.meta_user_id == meta_user_id, named.has_grants
    )
    as_it_was = (
        exists()
        .where(Grant.partner_user_id == user_id, StagedAsset.id == Grant.asset_id)
        .where(StagedAsset.job_id == job.id, StagedAsset.is_unchanged)
        # Who reaches an asset through a group is asked anew each time, but for one that is hidden.
        .where(or_(Grant.via == "direct", StagedAsset.state == "out_of_sight"))
    )
    return or_(staged, as_it_was)


def differs(names: Iterable[str]) -> ColumnElement[bool]:
    """Whether a `StagedUser` tells any of these otherwise than its `PartnerUser`."""
    return or_(
        *(getattr(PartnerUser, name).is_distinct_from(getattr(StagedUser, name)) for name in names)
    )


async def distrust_stale_digests(session: AsyncSession, job: SyncJob) -> None:
    """An asset was taken for unchanged by a digest that is no longer on record: it was not read."""
    same = exists().where(
        AssetShare.partner_id == job.partner_id,
        AssetShare.asset_id == StagedAsset.id,
        AssetShare.access_digest.is_not_distinct_from(StagedAsset.access_digest),
    )
    distrusted = await session.execute(
        update(StagedAsset)
        .where(StagedAsset.job_id == job.id, StagedAsset.is_unchanged, ~same)
        .values(is_unchanged=False, state="unread")
    )
    assert isinstance(distrusted, CursorResult)
    if distrusted.rowcount:
        detail = f"{distrusted.rowcount} assets have to be compared anew by the next check."
        progress.warn(job, "compared_anew", None, detail)
