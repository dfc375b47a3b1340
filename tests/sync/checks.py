"""Checks for updates against a database alone: the test gives the rows that Meta would send."""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete, select

from partner_connector.db.engine import Database
from partner_connector.db.models import (
    Asset,
    Capability,
    Change,
    Grant,
    Integration,
    Partner,
    PartnerUser,
    StagedGrant,
    StagedUser,
    SyncJob,
    Token,
    Workspace,
)
from partner_connector.db.sql import write_rows
from partner_connector.ids import encode, new_id
from partner_connector.worker.meta.access import AccessRead
from partner_connector.worker.meta.shared_assets import AssetToRead, SharedAsset
from partner_connector.worker.sync import progress
from partner_connector.worker.sync.apply import capability
from partner_connector.worker.sync.apply.users import apply_users
from partner_connector.worker.sync.stage import cleanup
from partner_connector.worker.sync.stage.access import stage_access
from partner_connector.worker.sync.stage.staging import (
    stage_assets,
    stage_people,
    staged_grant,
    user_with_name_only,
)

Json = dict[str, Any]
Tasks = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class World:
    """A partner as Meta has it: the users, and their tasks on each asset."""

    assets: Mapping[str, Mapping[str, Tasks]]
    """Asset → user → tasks."""
    people: Mapping[str, Json]
    """User → row of `business_users`."""
    groups: Mapping[tuple[str, str], Tasks] = field(default_factory=dict)
    """(asset, user) → tasks through an asset group."""


@dataclass(slots=True)
class CheckedPartner:
    """A partner in a real database, which a test can check any number of times."""

    database: Database
    workspace_id: uuid.UUID
    integration_id: uuid.UUID
    partner_id: uuid.UUID
    token_id: uuid.UUID | None = None

    async def check(
        self,
        world: World,
        *,
        refused: frozenset[str] = frozenset(),
        scopes: Collection[str] | None = None,
        granular: Mapping[str, Any] | None = None,
        raw: Sequence[AccessRead] | None = None,
    ) -> SyncJob:
        """Stage the world, except for refused assets, and apply it.

        `raw` replaces the reads that the world would give.
        """
        async with self.database.writing() as session:
            queued = SyncJob(
                workspace_id=self.workspace_id,
                integration_id=self.integration_id,
                partner_id=self.partner_id,
                task="sync_partner",
                trigger="api",
            )
            session.add(queued)
        await self._stage(queued.id, world, refused, raw)
        async with self.database.writing() as session:
            await capability.store_scopes(session, queued, scopes, granular)
        job = await self.apply(queued.id)
        if job.status != "halted":
            await cleanup.clear_staging(self.database, job.id)
        return job

    async def _stage(
        self,
        job_id: uuid.UUID,
        world: World,
        refused: frozenset[str],
        raw: Sequence[AccessRead] | None = None,
    ) -> None:
        async with self.database.writing() as session:
            job = await progress.begin(session, job_id, 1)
            assert job is not None
            shared = [
                SharedAsset("page", meta_id, f"Page {meta_id}", "ours_shared_to_partner", None)
                for meta_id in world.assets
            ]
            await stage_assets(session, job.id, 1, shared)
            for kind in ("person", "system_user"):
                rows = [row for row in world.people.values() if row.get("kind", "person") == kind]
                await stage_people(session, job.id, kind, rows)
            reads = [
                AccessRead(
                    AssetToRead("page", meta_id, f"Page {meta_id}"),
                    [
                        {"id": person, "name": f"Named {person}", "tasks": list(tasks)}
                        for person, tasks in assigned.items()
                    ],
                    is_short=meta_id in refused,
                )
                for meta_id, assigned in world.assets.items()
            ]
            await stage_access(session, job, reads if raw is None else raw)
            through_groups = [
                staged_grant(
                    job.id, "page", asset, {"id": person, "tasks": tasks}, via="asset_group"
                )
                for (asset, person), tasks in world.groups.items()
            ]
            members = [
                user_with_name_only(job.id, {"id": person, "name": f"Named {person}"})
                for person in sorted({person for _, person in world.groups})
            ]
            await write_rows(session, StagedUser, members, key=("job_id", "meta_user_id"))
            key = ("job_id", "asset_type", "asset_meta_id", "meta_user_id", "via")
            await write_rows(session, StagedGrant, through_groups, key=key)

    async def apply(self, job_id: uuid.UUID) -> SyncJob:
        """Apply the staged rows, as the last step of a check does."""
        async with self.database.writing() as session:
            job = await session.get_one(SyncJob, job_id)
            token = None if self.token_id is None else await session.get(Token, self.token_id)
            await apply_users(session, job, token)
        return job

    async def approve(self, job: SyncJob) -> SyncJob:
        """Approve the plan of a halted job, and run the attempt that applies it."""
        async with self.database.writing() as session:
            row = await session.get_one(SyncJob, job.id)
            assert row.plan is not None
            row.approved_plan = row.plan["digest"]
            row.attempt += 1
            row.status = "running"
        async with self.database.writing() as session:
            assert await progress.begin(session, job.id, row.attempt) is not None
        return await self.apply(job.id)

    async def add_token(self, **facts: Any) -> None:
        """Store an active token whose validation found these facts."""
        async with self.database.writing() as session:
            token = Token(
                workspace_id=self.workspace_id,
                integration_id=self.integration_id,
                partner_id=self.partner_id,
                version=1,
                state="active",
                key_id="k",
                **facts,
            )
            session.add(token)
            await session.flush()
            self.token_id = token.id

    async def delete_user(self, user_id: uuid.UUID | None) -> None:
        """Delete the user and its grants outside any check."""
        async with self.database.writing() as session:
            await session.execute(delete(PartnerUser).where(PartnerUser.id == user_id))

    async def capability(self) -> Capability:
        """Return the stored capability of the token."""
        async with self.database.reading() as session:
            return await session.get_one(Capability, self.partner_id)

    async def users(self) -> dict[str, Json]:
        """Return the active users with their grants, as the API shows them, by id."""
        async with self.database.reading() as session:
            rows = await session.execute(
                select(PartnerUser, Grant, Asset)
                .outerjoin(Grant, Grant.partner_user_id == PartnerUser.id)
                .outerjoin(Asset, Asset.id == Grant.asset_id)
                .where(PartnerUser.partner_id == self.partner_id)
                .where(PartnerUser.state == "active")
            )
            users: dict[str, Json] = {}
            for user, grant, asset in rows:
                known = users.setdefault(encode("usr", user.id), _view(user))
                if grant is not None:
                    known["grants"].append(
                        {
                            "asset": {"id": encode("ast", asset.id), "meta_id": asset.meta_id},
                            "via": grant.via,
                            "tasks": grant.tasks,
                            "full_control": grant.full_control,
                        }
                    )
            return users

    async def feed(self) -> list[Json]:
        """Return the partner's changes as the API shows them."""
        async with self.database.reading() as session:
            rows = await session.scalars(
                select(Change).where(Change.partner_id == self.partner_id).order_by(Change.sequence)
            )
            return [
                {
                    "sequence": row.sequence,
                    "kind": row.kind,
                    "partner_id": encode("ptn", row.partner_id),
                    "partner_user_id": row.partner_user_id and encode("usr", row.partner_user_id),
                    "asset_id": row.asset_id and encode("ast", row.asset_id),
                    "before": row.before,
                    "after": row.after,
                }
                for row in rows
            ]


def _view(user: PartnerUser) -> Json:
    names = ("meta_user_id", "kind", "name", "email", "title", "role", "role_class")
    facts = {name: getattr(user, name) for name in (*names, "two_factor", "finance_permission")}
    return {
        "id": encode("usr", user.id),
        "partner_id": encode("ptn", user.partner_id),
        "asset_count": user.asset_count,
        "grants": [],
        **facts,
    }


async def make_partner(database: Database, *, safeguard_percent: int = 100) -> CheckedPartner:
    """Return a connected partner of a new workspace that was never checked."""
    workspace = Workspace(id=new_id(), name="Checks")
    integration = Integration(
        id=new_id(),
        workspace_id=workspace.id,
        name="Our business",
        meta_business_id="100",
        app_id="1",
        safeguard_percent=safeguard_percent,
        schedule={},
        graph_version="v26.0",
    )
    partner = Partner(
        id=new_id(),
        workspace_id=workspace.id,
        integration_id=integration.id,
        meta_business_id="200",
        name="Partner",
        relationship="agency",
    )
    for row in (workspace, integration, partner):
        async with database.writing() as session:
            session.add(row)
    return CheckedPartner(database, workspace.id, integration.id, partner.id)
