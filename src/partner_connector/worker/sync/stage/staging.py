"""What was read of one partner, written to staging: assets, people, and who is assigned to what.

Every write may be repeated: a batch read twice after a crash leaves the same rows.
"""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.facts import ASSET, PERSON, SHARE, Fact
from partner_connector.db.models import StagedAsset, StagedUser
from partner_connector.db.sql import clean, write_rows
from partner_connector.graph import full_control, role_class
from partner_connector.ids import new_id
from partner_connector.worker.meta.shared_assets import AssetToRead, SharedAsset

# One Graph batch holds 50 operations, of which one asks whether Page tokens are heard.
ASSETS_IN_A_BATCH = 49

_ID_LENGTH = 32
_FIELDS = {name: fact.field for name, fact in PERSON.items() if fact.field is not None}
_TWO_FACTOR = {"on": "on", "enabled": "on", "true": "on", "off": "off", "disabled": "off"}


async def stage_assets(
    session: AsyncSession, job_id: uuid.UUID, attempt: int, assets: Sequence[SharedAsset]
) -> None:
    """Note shared assets as listed by this attempt. One that was read already stays read."""
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
    """Note what the business says about its people: it wins over what an asset says."""
    people = [_person(job_id, kind, row) for row in rows]
    key = ("job_id", "meta_user_id")
    await write_rows(session, StagedUser, people, key=key, update=(*PERSON, "enriched"))


def meta_id_of(row: Mapping[str, Any]) -> str:
    """Meta's id of a row as text; ids are digits, and what is none must still be storable."""
    text = str(row["id"])
    return text if text.isdigit() and len(text) <= _ID_LENGTH else clean(text, _ID_LENGTH)


def _person(job_id: uuid.UUID, kind: str, row: Mapping[str, Any]) -> dict[str, Any]:
    told = {name: _stored(PERSON[name], row.get(field)) for name, field in _FIELDS.items()}
    email = row.get("email")
    return {
        **told,
        "job_id": job_id,
        "meta_user_id": meta_id_of(row),
        "id": new_id(),
        "kind": kind,
        "name": clean(row.get("name") or row["id"], 500),
        # Matching is by exact address (DOMAIN R11), and addresses differ in case only by accident.
        "email": clean(str(email).strip().lower(), 320) if email else None,
        "role_class": role_class(told["role"]),
        "two_factor": _TWO_FACTOR.get(str(row.get("two_fac_status", "")).lower(), "unknown"),
        "enriched": True,
    }


def _stored(fact: Fact, value: Any) -> Any:
    """Convert a value of Meta to the value that the column of the fact stores."""
    if not value:
        return None
    if fact.length is None:
        return [clean(task, 100) for task in value]
    return clean(value, fact.length)


async def next_assets(
    session: AsyncSession, job_id: uuid.UUID, attempt: int, number: int
) -> list[AssetToRead]:
    """The next assets whose people are to be read; Pages come first, whose tokens are at hand."""
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
    """That the user of this row may do its tasks on the asset."""
    tasks = sorted({clean(task, 100) for task in row.get("tasks") or ()})
    return {
        "job_id": job_id,
        "asset_type": asset_type,
        "asset_meta_id": meta_id,
        "meta_user_id": meta_id_of(row),
        "via": via,
        "tasks": tasks,
        "full_control": full_control(asset_type, tasks),
    }


def named_only(job_id: uuid.UUID, row: Mapping[str, Any]) -> dict[str, Any]:
    """Somebody whom the business's own list of people may lack: the name is all that is known."""
    # The values of `user_type` are not documented (REFERENCE 3.2): only a hint is taken from it.
    is_system = "SYSTEM" in str(row.get("user_type", "")).upper()
    bare = _person(job_id, "system_user" if is_system else "person", row)
    return {**bare, "enriched": False}
