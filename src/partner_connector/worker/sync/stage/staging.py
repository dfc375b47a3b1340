"""Staging of one partner's assets, people and grants.

Every write may be repeated: a batch read twice after a crash leaves the same rows.
"""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.facts import ASSET, PERSON, SHARE, Fact
from partner_connector.db.models import StagedAsset, StagedUser
from partner_connector.db.sql import storable_text, write_rows
from partner_connector.graph import full_control, role_class
from partner_connector.ids import new_id
from partner_connector.worker.meta.shared_assets import AssetToRead, SharedAsset

# A Graph batch holds 50 operations; one tests if Meta accepts Page tokens in the batch.
ASSETS_PER_BATCH = 49

_ID_LENGTH = 32
_FIELDS = {name: fact.field for name, fact in PERSON.items() if fact.field is not None}
_TWO_FACTOR = {"on": "on", "enabled": "on", "true": "on", "off": "off", "disabled": "off"}


async def stage_assets(
    session: AsyncSession, job_id: uuid.UUID, attempt: int, assets: Sequence[SharedAsset]
) -> None:
    """Mark shared assets as listed by this attempt. Assets already read stay read."""
    facts = ASSET | SHARE
    rows = [
        {
            "job_id": job_id,
            "type": asset.type,
            "meta_id": asset.meta_id,
            "id": new_id(),
            **{name: _stored(fact, getattr(asset, name)) for name, fact in facts.items()},
            "listed_in": attempt,
            "state": "unread",
            "read_at": None,
        }
        for asset in assets
    ]
    key = ("job_id", "type", "meta_id")
    await write_rows(session, StagedAsset, rows, key=key, update=(*facts, "listed_in"))


async def stage_people(
    session: AsyncSession, job_id: uuid.UUID, kind: str, rows: Sequence[Mapping[str, Any]]
) -> None:
    """Stage rows of the business's own lists of people, which override the rows of assets."""
    people = [_person(job_id, kind, row) for row in rows]
    key = ("job_id", "meta_user_id")
    await write_rows(session, StagedUser, people, key=key, update=(*PERSON, "enriched"))


def meta_id_of(row: Mapping[str, Any]) -> str:
    """Return Meta's id of a row as storable text, even if it has other characters than digits."""
    text = str(row["id"])
    return text if text.isdigit() and len(text) <= _ID_LENGTH else storable_text(text, _ID_LENGTH)


def _person(job_id: uuid.UUID, kind: str, row: Mapping[str, Any]) -> dict[str, Any]:
    facts = {name: _stored(PERSON[name], row.get(field)) for name, field in _FIELDS.items()}
    email = row.get("email")
    return {
        **facts,
        "job_id": job_id,
        "meta_user_id": meta_id_of(row),
        "id": new_id(),
        "kind": kind,
        "name": storable_text(row.get("name") or row["id"], 500),
        # Matching compares exact addresses, so store them in lower case
        # (`docs/reference/graph-facts.md#email-matching`).
        "email": storable_text(str(email).strip().lower(), 320) if email else None,
        "role_class": role_class(facts["role"]),
        "two_factor": _TWO_FACTOR.get(str(row.get("two_fac_status", "")).lower(), "unknown"),
        "enriched": True,
    }


def _stored(fact: Fact, value: Any) -> Any:
    """Convert a value of Meta to the value that the column of the fact stores."""
    if not value:
        return None
    if fact.length is None:
        return [storable_text(task, 100) for task in value]
    return storable_text(value, fact.length)


async def next_assets(
    session: AsyncSession, job_id: uuid.UUID, attempt: int, number: int
) -> list[AssetToRead]:
    """Return the next assets to read. Pages come first, while their tokens are in memory."""
    query = (
        select(StagedAsset.type, StagedAsset.meta_id, StagedAsset.name)
        .where(
            StagedAsset.job_id == job_id,
            StagedAsset.listed_in == attempt,
            StagedAsset.state == "unread",
        )
        .order_by(StagedAsset.type != "page", StagedAsset.type, StagedAsset.meta_id)
        .limit(number)
    )
    return [AssetToRead(*row) for row in await session.execute(query)]


def staged_grant(
    job_id: uuid.UUID, asset_type: str, meta_id: str, row: Mapping[str, Any], *, via: str
) -> dict[str, Any]:
    """Return the staged grant of this row's user and tasks on the asset."""
    tasks = sorted({storable_text(task, 100) for task in row.get("tasks") or ()})
    return {
        "job_id": job_id,
        "asset_type": asset_type,
        "asset_meta_id": meta_id,
        "meta_user_id": meta_id_of(row),
        "via": via,
        "tasks": tasks,
        "full_control": full_control(asset_type, tasks),
    }


def user_with_name_only(job_id: uuid.UUID, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a staged user without e-mail and role, for a user in an asset's or group's list."""
    # The values of `user_type` are not documented (`#assigned-users`): use it only as a hint.
    is_system = "SYSTEM" in str(row.get("user_type", "")).upper()
    bare = _person(job_id, "system_user" if is_system else "person", row)
    return {**bare, "enriched": False}
