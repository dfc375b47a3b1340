"""Plan of a sync job: all changes that it would make, in order.

The safeguard checks the plan, an operator may have to approve it, the job applies it, and the
change feed then lists its changes. One SQL statement plans each kind of change.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, get_args

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    case,
    delete,
    exists,
    func,
    insert,
    literal,
    literal_column,
    null,
    or_,
    select,
)
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.facts import ASSET, PERSON, SHARE, FactChange, columns
from partner_connector.db.models import (
    Asset,
    AssetShare,
    Grant,
    PartnerUser,
    PlannedChange,
    StagedAsset,
    StagedGrant,
    StagedUser,
    SyncJob,
)
from partner_connector.db.sql import json_object
from partner_connector.worker.sync.apply.diff import FACTS, differs, has_access, is_of_staged_asset

# Facts of a user that each kind of change reports.
FACT_CHANGES = {
    kind: [name for name, fact in PERSON.items() if fact.change == kind]
    for kind in get_args(FactChange)
}


async def make_plan(session: AsyncSession, job: SyncJob, *, remove: bool) -> None:
    """Replace the job's plan. Without `remove`, the plan contains no removals."""
    await session.execute(delete(PlannedChange).where(PlannedChange.job_id == job.id))
    changes = [_assets_shared(job), _users_joined(job)]
    changes += [_facts_changed(job, kind, names) for kind, names in FACT_CHANGES.items()]
    changes.append(_access_granted_or_changed(job))
    if remove:
        changes += [_access_revoked_on_read_assets(job), _access_revoked_through_groups(job)]
        changes += [_access_revoked_with_shares(job), _users_left(job), _assets_unshared(job)]
    columns = ["job_id", "partner_id", "kind", "partner_user_id", "asset_id", "before", "after"]
    for rows in changes:
        await session.execute(insert(PlannedChange).from_select(columns, rows))


async def planned_counts(session: AsyncSession, job: SyncJob) -> Counter[str]:
    """Return the number of planned changes by kind."""
    rows = await session.execute(
        select(PlannedChange.kind, func.count())
        .where(PlannedChange.job_id == job.id)
        .group_by(PlannedChange.kind)
    )
    return Counter(dict(rows.all()))


async def count_changes(session: AsyncSession, job: SyncJob, planned: Counter[str]) -> None:
    """Set the job's counts of users. A user with several changes counts once."""
    plan = PlannedChange
    joined_or_left = select(plan.partner_user_id).where(
        plan.job_id == job.id, plan.kind.in_(("user_joined", "user_rejoined", "user_left"))
    )
    changed = select(func.count(plan.partner_user_id.distinct())).where(
        plan.job_id == job.id, plan.partner_user_id.not_in(joined_or_left)
    )
    seen = select(func.count()).where(
        PartnerUser.partner_id == job.partner_id,
        has_access(job, PartnerUser.id, PartnerUser.meta_user_id),
    )
    job.added = planned["user_joined"] + planned["user_rejoined"]
    job.removed = planned["user_left"]
    job.changed = await session.scalar(changed) or 0
    # Users who join are not in the table yet; users who rejoin are.
    job.seen = (await session.scalar(seen) or 0) + planned["user_joined"]
    job.unchanged = job.seen - job.added - job.changed


def _change(
    job: SyncJob,
    kind: str | ColumnElement[str],
    *,
    user: Any = None,
    asset: Any = None,
    before: Any = None,
    after: Any = None,
) -> Select[Any]:
    """Return a select of rows of the plan."""
    return select(
        literal(job.id),
        literal(job.partner_id),
        literal(kind) if isinstance(kind, str) else kind,
        null() if user is None else user,
        null() if asset is None else asset,
        null() if before is None else before,
        null() if after is None else after,
    )


def _share(
    asset: type[StagedAsset] | type[Asset], share: type[StagedAsset] | type[AssetShare]
) -> json_object:
    return json_object(
        type=asset.type, meta_id=asset.meta_id, **columns(asset, ASSET), **columns(share, SHARE)
    )


def _facts(of: type[StagedUser] | type[PartnerUser]) -> json_object:
    return json_object(meta_user_id=of.meta_user_id, **columns(of, FACTS))


def _access(grant: type[StagedGrant] | type[Grant]) -> json_object:
    return json_object(via=grant.via, tasks=grant.tasks, full_control=grant.full_control)


def _assets_shared(job: SyncJob) -> Select[Any]:
    shared = exists().where(
        AssetShare.partner_id == job.partner_id, AssetShare.asset_id == StagedAsset.id
    )
    return (
        _change(job, "asset_shared", asset=StagedAsset.id, after=_share(StagedAsset, StagedAsset))
        .where(StagedAsset.job_id == job.id, ~shared)
        .order_by(StagedAsset.type, StagedAsset.meta_id)
    )


def _assets_unshared(job: SyncJob) -> Select[Any]:
    listed = exists().where(StagedAsset.job_id == job.id, StagedAsset.id == AssetShare.asset_id)
    return (
        _change(job, "asset_unshared", asset=Asset.id, before=_share(Asset, AssetShare))
        .join_from(AssetShare, Asset, Asset.id == AssetShare.asset_id)
        .where(AssetShare.partner_id == job.partner_id, ~listed)
        .order_by(Asset.type, Asset.meta_id)
    )


def _users_joined(job: SyncJob) -> Select[Any]:
    is_known = PartnerUser.id.is_not(None)
    return (
        _change(
            job,
            case((is_known, "user_rejoined"), else_="user_joined"),
            user=StagedUser.id,
            before=case((is_known, _facts(PartnerUser)), else_=null()),
            after=_facts(StagedUser),
        )
        .join_from(StagedUser, PartnerUser, PartnerUser.id == StagedUser.id, isouter=True)
        .where(StagedUser.job_id == job.id, PartnerUser.state.is_distinct_from("active"))
        .where(has_access(job, StagedUser.id, StagedUser.meta_user_id))
        .order_by(StagedUser.meta_user_id)
    )


def _facts_changed(job: SyncJob, kind: str, names: Sequence[str]) -> Select[Any]:
    return (
        _change(
            job,
            kind,
            user=StagedUser.id,
            before=json_object(**columns(PartnerUser, names)),
            after=json_object(**columns(StagedUser, names)),
        )
        .join_from(StagedUser, PartnerUser, PartnerUser.id == StagedUser.id)
        .where(StagedUser.job_id == job.id, PartnerUser.state == "active", differs(names))
        .where(has_access(job, StagedUser.id, StagedUser.meta_user_id))
        .order_by(StagedUser.meta_user_id)
    )


def _access_granted_or_changed(job: SyncJob) -> Select[Any]:
    is_new = Grant.partner_user_id.is_(None)
    known = and_(
        Grant.partner_user_id == StagedUser.id,
        Grant.asset_id == StagedAsset.id,
        Grant.via == StagedGrant.via,
    )
    is_different = or_(
        is_new, Grant.tasks != StagedGrant.tasks, Grant.full_control != StagedGrant.full_control
    )
    return (
        _change(
            job,
            case((is_new, "access_granted"), else_="access_changed"),
            user=StagedUser.id,
            asset=StagedAsset.id,
            before=case((is_new, null()), else_=_access(Grant)),
            after=_access(StagedGrant),
        )
        .join_from(StagedGrant, StagedAsset, is_of_staged_asset())
        .join(
            StagedUser,
            and_(
                StagedUser.job_id == StagedGrant.job_id,
                StagedUser.meta_user_id == StagedGrant.meta_user_id,
            ),
        )
        .outerjoin(Grant, known)
        .where(StagedGrant.job_id == job.id, is_different)
    )


def _access_revoked(job: SyncJob, among: ColumnElement[bool]) -> Select[Any]:
    """Select the stored grants that match `among` and were not staged.

    `among` selects assets by a subquery, so that SQLite starts with them and not with all grants.
    """
    seen = (
        exists()
        .where(
            StagedGrant.job_id == job.id,
            StagedGrant.asset_type == Asset.type,
            StagedGrant.asset_meta_id == Asset.meta_id,
            StagedGrant.meta_user_id == PartnerUser.meta_user_id,
            StagedGrant.via == Grant.via,
        )
        .correlate(Asset, PartnerUser, Grant)
    )
    return (
        _change(
            job,
            "access_revoked",
            user=Grant.partner_user_id,
            asset=Grant.asset_id,
            before=_access(Grant),
        )
        .join_from(Grant, PartnerUser, PartnerUser.id == Grant.partner_user_id)
        .join(Asset, Asset.id == Grant.asset_id)
        .where(Grant.partner_id == job.partner_id, among, ~seen)
    )


def _access_revoked_on_read_assets(job: SyncJob) -> Select[Any]:
    read = select(StagedAsset.id).where(StagedAsset.job_id == job.id, ~StagedAsset.is_unchanged)
    return _access_revoked(job, and_(Grant.asset_id.in_(read), Grant.via == "direct"))


def _access_revoked_through_groups(job: SyncJob) -> Select[Any]:
    hidden = select(StagedAsset.id).where(
        StagedAsset.job_id == job.id, StagedAsset.state == "out_of_sight"
    )
    # Same text as in the partial index: SQLite does not use the index for a bound value.
    through_group = Grant.via == literal_column("'asset_group'")
    return _access_revoked(job, and_(through_group, Grant.asset_id.not_in(hidden)))


def _access_revoked_with_shares(job: SyncJob) -> Select[Any]:
    listed = exists().where(StagedAsset.job_id == job.id, StagedAsset.id == AssetShare.asset_id)
    gone = select(AssetShare.asset_id).where(AssetShare.partner_id == job.partner_id, ~listed)
    return _access_revoked(job, and_(Grant.asset_id.in_(gone), Grant.via == "direct"))


def _users_left(job: SyncJob) -> Select[Any]:
    return (
        _change(job, "user_left", user=PartnerUser.id, before=_facts(PartnerUser))
        .where(PartnerUser.partner_id == job.partner_id, PartnerUser.state == "active")
        .where(~has_access(job, PartnerUser.id, PartnerUser.meta_user_id))
        .order_by(PartnerUser.meta_user_id)
    )
