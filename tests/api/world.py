"""Rows that the API itself cannot make yet, and one workspace with a row of every kind."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.database import Database
from partner_connector.ids import encode, new_id
from partner_connector.models import (
    ApiKey,
    Asset,
    AssetShare,
    Base,
    Grant,
    Integration,
    Partner,
    PartnerUser,
    SyncJob,
    Token,
    TokenValidation,
)

SEEN_AT = datetime(2026, 11, 1, 12, tzinfo=UTC)


def meta_id() -> str:
    """An id as Meta gives them: digits, and never the same twice."""
    return str(new_id().int)[:20] + str(uuid.uuid4().int)[:10]


def integration(workspace_id: uuid.UUID, **values: Any) -> Integration:
    """Our own business."""
    given: dict[str, Any] = {
        "name": "Acme",
        "meta_business_id": meta_id(),
        "app_id": "2965389650414399",
        "schedule": {"frequency": "daily", "paused": False},
        "graph_version": "v26.0",
        "id": new_id(),
    }
    return Integration(workspace_id=workspace_id, **(given | values))


def partner(of: Integration, **values: Any) -> Partner:
    """A business that shares assets with ours."""
    given: dict[str, Any] = {
        "name": "Northwind",
        "meta_business_id": meta_id(),
        "relationship": "agency",
        "id": new_id(),
    }
    return Partner(workspace_id=of.workspace_id, integration_id=of.id, **(given | values))


def token(of: Partner, **values: Any) -> Token:
    """A partner's active token, with a ciphertext that nobody will open.

    With `partner_id=None` it is that of the integration.
    """
    given: dict[str, Any] = {
        "version": 1,
        "state": "active",
        "sealed": b"ciphertext",
        "sealed_as": "at_rest",
        "key_id": "sk_0123456789abcdef",
        "health": "healthy",
        "scopes": ["business_management"],
        "partner_id": of.id,
        "id": new_id(),
    }
    return Token(workspace_id=of.workspace_id, integration_id=of.integration_id, **(given | values))


def validation(of: Token, **values: Any) -> TokenValidation:
    """A completed proof."""
    given: dict[str, Any] = {
        "purpose": "connect",
        "status": "completed",
        "verdict": "connectable",
        "id": new_id(),
    }
    return TokenValidation(
        workspace_id=of.workspace_id,
        integration_id=of.integration_id,
        partner_id=of.partner_id,
        token_id=of.id,
        **(given | values),
    )


def sync_job(of: Partner, **values: Any) -> SyncJob:
    """A completed check for updates."""
    given: dict[str, Any] = {
        "task": "sync_partner",
        "trigger": "api",
        "status": "completed",
        "partner_id": of.id,
        "id": new_id(),
    }
    return SyncJob(
        workspace_id=of.workspace_id, integration_id=of.integration_id, **(given | values)
    )


def partner_user(of: Partner, **values: Any) -> PartnerUser:
    """Someone at the partner."""
    given: dict[str, Any] = {
        "meta_user_id": meta_id(),
        "kind": "person",
        "name": "Ada Example",
        "email": "ada@example.com",
        "first_seen_at": SEEN_AT,
        "last_seen_at": SEEN_AT,
        "id": new_id(),
    }
    return PartnerUser(
        workspace_id=of.workspace_id,
        integration_id=of.integration_id,
        partner_id=of.id,
        **(given | values),
    )


def asset(of: Integration, **values: Any) -> Asset:
    """Something that is shared."""
    given: dict[str, Any] = {
        "type": "ad_account",
        "meta_id": meta_id(),
        "name": "Spring campaign",
        "id": new_id(),
    }
    return Asset(workspace_id=of.workspace_id, integration_id=of.id, **(given | values))


def share(of: Asset, with_: Partner) -> AssetShare:
    """That the asset is shared with the partner."""
    return AssetShare(
        workspace_id=of.workspace_id,
        partner_id=with_.id,
        asset_id=of.id,
        direction="ours_shared_to_partner",
        permitted_tasks=["ADVERTISE"],
        first_seen_at=SEEN_AT,
    )


def grant(of: Asset, to: PartnerUser, **values: Any) -> Grant:
    """That someone may work on the asset."""
    given: dict[str, Any] = {"tasks": ["ADVERTISE"], "full_control": False}
    return Grant(
        workspace_id=of.workspace_id,
        partner_id=to.partner_id,
        partner_user_id=to.id,
        asset_id=of.id,
        granted_at=SEEN_AT,
        **(given | values),
    )


async def store(database: Database, *rows: Base) -> None:
    """Write the rows in the order in which they were given."""
    async with database.writing() as session:
        for row in rows:
            session.add(row)
            await session.flush()


@dataclass(frozen=True, slots=True)
class World:
    """A connected partner and everything that hangs on it. `ids` maps id prefixes to its ids."""

    integration: Integration
    partner: Partner
    token: Token
    asset: Asset
    user: PartnerUser
    ids: Mapping[str, str]


async def make_world(database: Database, workspace_id: uuid.UUID) -> World:
    """One row of every kind that a path of the API can name. New kinds of id belong in here."""
    ours = integration(workspace_id)
    theirs = partner(ours)
    active = token(theirs)
    proof = validation(active)
    job = sync_job(theirs)
    someone = partner_user(theirs, asset_count=1)
    thing = asset(ours)
    key = ApiKey(
        workspace_id=workspace_id,
        name="spare",
        key_id=uuid.uuid4().hex[:12],
        digest="0" * 64,
        scopes=["keys:admin"],
        id=new_id(),
    )
    await store(
        database,
        ours,
        theirs,
        active,
        proof,
        job,
        someone,
        thing,
        share(thing, theirs),
        grant(thing, someone),
        key,
    )
    ids = {
        "int": ours.id,
        "ptn": theirs.id,
        "tok": active.id,
        "val": proof.id,
        "job": job.id,
        "usr": someone.id,
        "ast": thing.id,
        "key": key.id,
    }
    encoded = {prefix: encode(prefix, value) for prefix, value in ids.items()}
    return World(ours, theirs, active, thing, someone, encoded)


async def everything_of(session: AsyncSession, workspace_id: uuid.UUID) -> dict[str, list[str]]:
    """Every row of a workspace, by table, for telling whether anything in it changed."""
    dump = {}
    for table in Base.metadata.sorted_tables:
        if "workspace_id" in table.c:
            rows = await session.execute(
                select(table)
                .where(table.c.workspace_id == workspace_id)
                .order_by(*table.primary_key)
            )
            dump[table.name] = [repr(tuple(row)) for row in rows]
    return dump
