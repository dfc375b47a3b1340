"""Application of staged businesses to partners, and the start of each partner's sync job."""

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.clock import now
from partner_connector.db.models import (
    Integration,
    Partner,
    PlannedChange,
    StagedPartner,
    SyncJob,
    Token,
)
from partner_connector.durable.engine import WorkQueue
from partner_connector.features.sync_jobs import service as sync_jobs
from partner_connector.features.sync_jobs.roll_up import roll_up
from partner_connector.ids import new_id
from partner_connector.worker.sync import progress


@dataclass(slots=True)
class ListedPartner:
    """Business as Meta lists it, on one side or on both."""

    name: str
    sides: set[str] = field(default_factory=set)
    counts: dict[str, int] | None = None


async def apply_partners(
    session: AsyncSession, job: SyncJob, *, unknown_sides: Collection[str]
) -> None:
    """Add partners, update them, and mark those that are no longer shared.

    A partner is marked as no longer shared only if the lists of both sides were read.
    """
    listed = await _listed(session, job)
    known = {
        partner.meta_business_id: partner
        for partner in await session.scalars(
            select(Partner).where(Partner.integration_id == job.integration_id)
        )
    }
    for business_id, seen in listed.items():
        partner = known.get(business_id)
        if partner is None:
            partner = _new_partner(job, business_id, seen)
            session.add_all([partner, _change(job, partner, "partner_listed")])
            job.added += 1
            continue
        is_listed_again = partner.presence != "listed"
        if _update(partner, seen, unknown_sides):
            job.changed += 1
        else:
            job.unchanged += 1
        if is_listed_again:
            session.add(_change(job, partner, "partner_listed"))
    if not unknown_sides:
        for business_id, partner in known.items():
            if business_id not in listed and partner.presence == "listed":
                partner.presence = "no_longer_shared"
                session.add(_change(job, partner, "partner_unshared"))
                job.removed += 1
    job.seen = len(listed)
    integration = await session.get_one(Integration, job.integration_id)
    integration.last_sync_at = now()
    await session.flush()


async def start_partner_jobs(session: AsyncSession, queue: WorkQueue, job: SyncJob) -> None:
    """Start a sync job for each connected partner, as a child job of this job."""
    connected = await session.scalars(
        select(Partner)
        .join(Token, (Token.partner_id == Partner.id) & (Token.state == "active"))
        .where(Partner.integration_id == job.integration_id)
        # A partner no longer listed is synced until its own job has removed all its users.
        .where(or_(Partner.presence == "listed", Partner.user_count > 0))
        .order_by(Partner.id)
    )
    former_parents: set[uuid.UUID] = set()
    for partner in connected.all():
        child = await sync_jobs.request_partner_sync(
            session, queue, partner, trigger=job.trigger, parent_id=job.id
        )
        if child.status == "halted":
            detail = (
                f"The partner {partner.name} was not checked: an earlier plan waits for approval. "
                "Approve or reject it, then check for updates again."
            )
            progress.warn(job, "plan_open", None, detail)
        elif child.parent_id != job.id and not await _has_unfinished_parent(session, child):
            # Adopt a job that was already running.
            former_parents |= {child.parent_id} if child.parent_id else set()
            child.parent_id = job.id
    job.own_work_done = True
    await session.flush()
    # Lock order: the parent jobs come after the child jobs and their partners.
    for parent_id in sorted({job.id, *former_parents}):
        await roll_up(session, parent_id)


async def _has_unfinished_parent(session: AsyncSession, child: SyncJob) -> bool:
    parent = await session.get(SyncJob, child.parent_id) if child.parent_id else None
    return parent is not None and parent.finished_at is None


async def _listed(session: AsyncSession, job: SyncJob) -> dict[str, ListedPartner]:
    listed: dict[str, ListedPartner] = {}
    staged = await session.scalars(select(StagedPartner).where(StagedPartner.job_id == job.id))
    for row in staged:
        seen = listed.setdefault(row.meta_business_id, ListedPartner(row.name))
        seen.sides.add(row.side)
        if row.shared_asset_counts is not None:
            seen.counts = _sum(seen.counts, row.shared_asset_counts)
    return listed


def _sum(counts: Mapping[str, int] | None, other: Mapping[str, int]) -> dict[str, int]:
    base = counts or {}
    return {key: base.get(key, 0) + value for key, value in other.items()}


def _relationship(sides: set[str]) -> str:
    return "both" if len(sides) > 1 else next(iter(sides))


def _new_partner(job: SyncJob, business_id: str, seen: ListedPartner) -> Partner:
    return Partner(
        id=new_id(),
        workspace_id=job.workspace_id,
        integration_id=job.integration_id,
        meta_business_id=business_id,
        name=seen.name,
        relationship=_relationship(seen.sides),
        shared_asset_counts=seen.counts or {},
    )


def _change(job: SyncJob, partner: Partner, kind: str) -> PlannedChange:
    facts = {
        "meta_business_id": partner.meta_business_id,
        "name": partner.name,
        "relationship": partner.relationship,
    }
    state = {"after" if kind == "partner_listed" else "before": facts}
    return PlannedChange(job_id=job.id, kind=kind, partner_id=partner.id, **state)


def _update(partner: Partner, seen: ListedPartner, unknown_sides: Collection[str]) -> bool:
    """Update a known partner. Return True if anything changed."""
    before_sides = (
        {"agency", "client"} if partner.relationship == "both" else {partner.relationship}
    )
    sides = seen.sides | before_sides.intersection(unknown_sides)
    values: dict[str, Any] = {
        "name": seen.name,
        "relationship": _relationship(sides),
        "presence": "listed",
    }
    if partner.last_synced_at is None and seen.counts is not None:
        # A synced partner has better counts, read with its own token.
        values["shared_asset_counts"] = seen.counts
    changed = False
    for name, value in values.items():
        if getattr(partner, name) != value:
            setattr(partner, name, value)
            changed = True
    return changed
