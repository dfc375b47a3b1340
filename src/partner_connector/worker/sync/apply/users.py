"""Application of staging to partner users, in one transaction of set-based SQL.

The job makes the plan, the safeguard checks it, and the job applies it. No user is removed unless
every edge of the partner was read to its end: a user whom the job did not see may still have
access.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Select, delete, exists, func, insert, literal, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.clock import now
from partner_connector.db.facts import columns
from partner_connector.db.locks import lock_partner
from partner_connector.db.models import (
    Grant,
    Partner,
    PartnerUser,
    PlannedChange,
    StagedUser,
    SyncJob,
    Token,
)
from partner_connector.worker.sync import progress
from partner_connector.worker.sync.apply import capability, safeguard
from partner_connector.worker.sync.apply.assets import (
    apply_assets,
    count_assets,
    delete_ended_shares,
    store_assets,
)
from partner_connector.worker.sync.apply.change_feed import publish
from partner_connector.worker.sync.apply.completeness import delete_unlisted_staging, is_complete
from partner_connector.worker.sync.apply.diff import (
    ENRICHMENT,
    FACTS,
    differs,
    has_access,
    mark_users_with_grants,
    reset_stale_digests,
    resolve_ids,
)
from partner_connector.worker.sync.apply.plan import count_changes, make_plan, planned_counts

_GRANT = (Grant.partner_user_id, Grant.asset_id, Grant.via)


async def apply_users(session: AsyncSession, job: SyncJob, token: Token | None) -> None:
    """Apply what was read to the partner's assets, users and grants, or halt with the plan."""
    partner = await lock_partner(session, job.partner_id)
    assert partner is not None
    # The data is as old as the first read, even if it is applied much later.
    at, as_of = now(), job.started_at or now()
    await delete_unlisted_staging(session, job)
    await store_assets(session, job, at)
    await resolve_ids(session, job)
    await mark_users_with_grants(session, job)
    await reset_stale_digests(session, job)
    await _keep_unread_facts(session, job)
    await capability.compare(session, job, token)
    complete = await is_complete(session, job)
    await make_plan(session, job, remove=complete)
    planned = await planned_counts(session, job)
    await count_changes(session, job, planned)
    if await safeguard.requires_approval(session, job, partner, planned):
        await safeguard.halt(session, job, planned, token)
        return
    await apply_assets(session, job, at, complete=complete)
    await _apply_people(session, job, at)
    await _apply_grants(session, job, at)
    if complete:
        await delete_ended_shares(session, job)
        partner.data_as_of = as_of
        partner.people_without_access_count = await _count_people_without_access(session, job)
        await capability.store_confirmed_capability(session, job, at)
    partner.last_synced_at = at
    await _refresh_counts(session, job, partner)
    await progress.finish(session, job)
    # Last, because it locks the change feed of the whole workspace until the commit.
    await publish(session, job, at)


async def _keep_unread_facts(session: AsyncSession, job: SyncJob) -> None:
    """Keep the stored e-mail and role of users that only an asset's list names.

    The e-mail and role of these users are unknown, not removed.
    """
    known = PartnerUser.id == StagedUser.id
    values = {
        name: select(stored).where(known).scalar_subquery()
        for name, stored in columns(PartnerUser, ENRICHMENT).items()
    }
    await session.execute(
        update(StagedUser)
        .where(StagedUser.job_id == job.id, StagedUser.enriched.is_(False), exists().where(known))
        .values(values)
    )


async def _apply_people(session: AsyncSession, job: SyncJob, at: datetime) -> None:
    staged, instant = StagedUser, PartnerUser.first_seen_at.type
    seen = has_access(job, staged.id, staged.meta_user_id)
    added = {
        "id": staged.id,
        "workspace_id": literal(job.workspace_id),
        "integration_id": literal(job.integration_id),
        "partner_id": literal(job.partner_id),
        "meta_user_id": staged.meta_user_id,
        **columns(staged, FACTS),
        "state": literal("active"),
        "asset_count": literal(0),
        "first_seen_at": literal(at, instant),
        "last_seen_at": literal(at, instant),
        "created_at": literal(at, instant),
    }
    known = exists().where(PartnerUser.id == staged.id)
    await session.execute(
        insert(PartnerUser).from_select(
            list(added), select(*added.values()).where(staged.job_id == job.id, ~known, seen)
        )
    )
    await session.execute(
        update(PartnerUser)
        .where(PartnerUser.id == staged.id, staged.job_id == job.id, seen)
        .where(or_(PartnerUser.state != "active", differs(FACTS)))
        .values(state="active", removed_at=None, **columns(staged, FACTS))
    )
    await session.execute(
        update(PartnerUser)
        .where(PartnerUser.partner_id == job.partner_id)
        .where(has_access(job, PartnerUser.id, PartnerUser.meta_user_id))
        .values(last_seen_at=at)
    )
    await session.execute(
        update(PartnerUser)
        .where(PartnerUser.id.in_(_planned(job, [PlannedChange.partner_user_id], "user_left")))
        .values(state="removed", removed_at=at)
    )


async def _apply_grants(session: AsyncSession, job: SyncJob, at: datetime) -> None:
    plan = PlannedChange
    via = plan.after["via"].as_string()
    tasks, full_control = plan.after["tasks"], plan.after["full_control"].as_boolean()
    added = {
        "partner_user_id": plan.partner_user_id,
        "asset_id": plan.asset_id,
        "via": via,
        "workspace_id": literal(job.workspace_id),
        "partner_id": literal(job.partner_id),
        "tasks": tasks,
        "full_control": full_control,
        "granted_at": literal(at, Grant.granted_at.type),
    }
    await session.execute(
        insert(Grant).from_select(list(added), _planned(job, added.values(), "access_granted"))
    )
    await session.execute(
        update(Grant)
        .where(
            plan.job_id == job.id,
            plan.kind == "access_changed",
            Grant.partner_user_id == plan.partner_user_id,
            Grant.asset_id == plan.asset_id,
            Grant.via == via,
        )
        .values(tasks=tasks, full_control=full_control)
    )
    lost = (plan.partner_user_id, plan.asset_id, plan.before["via"].as_string())
    await session.execute(
        delete(Grant).where(tuple_(*_GRANT).in_(_planned(job, lost, "access_revoked")))
    )


def _planned(job: SyncJob, columns: Any, kind: str) -> Select[Any]:
    plan = PlannedChange
    return select(*columns).where(plan.job_id == job.id, plan.kind == kind)


async def _count_people_without_access(session: AsyncSession, job: SyncJob) -> int:
    without_access = select(func.count()).where(
        StagedUser.job_id == job.id,
        StagedUser.kind == "person",
        ~has_access(job, StagedUser.id, StagedUser.meta_user_id),
    )
    return await session.scalar(without_access) or 0


async def _refresh_counts(session: AsyncSession, job: SyncJob, partner: Partner) -> None:
    assets_of_user = (
        select(func.count(Grant.asset_id.distinct()))
        .where(Grant.partner_user_id == PartnerUser.id)
        .scalar_subquery()
    )
    with_other_access = select(PlannedChange.partner_user_id).where(
        PlannedChange.job_id == job.id,
        PlannedChange.kind.in_(("access_granted", "access_revoked")),
    )
    await session.execute(
        update(PartnerUser)
        .where(PartnerUser.id.in_(with_other_access))
        .values(asset_count=assets_of_user)
    )
    active = select(func.count()).where(
        PartnerUser.partner_id == partner.id, PartnerUser.state == "active"
    )
    partner.user_count = await session.scalar(active) or 0
    await count_assets(session, partner)
