"""Who is assigned to an asset, written to staging as one JSON text that the database takes apart.

A row costs no object and no parameter of its own that way. The same text, hashed, tells at the next
check that nothing about the asset has changed: then not even that is written.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import TextClause, Uuid, bindparam, delete, select, text, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.clock import now
from partner_connector.db.models import (
    Asset,
    AssetShare,
    StagedAsset,
    StagedGrant,
    StagedUser,
    SyncJob,
)
from partner_connector.db.sql import clean, compact_json, write_rows
from partner_connector.graph import full_control
from partner_connector.worker.meta.access import AccessRead
from partner_connector.worker.meta.shared_assets import AssetToRead
from partner_connector.worker.sync.stage.staging import meta_id_of, named_only

# NUL and halves of surrogates, which PostgreSQL refuses in JSON too; whole ones look like them.
_MAY_BE_REFUSED = re.compile(r"\\u(0000|d[89a-f])")
# SQLite takes some tens of thousands of values in one statement at most, older ones less.
_NAMES_AT_A_TIME = 900
_COLUMNS = "job_id, asset_type, asset_meta_id, via, meta_user_id, tasks, full_control"


def _typed(sql: str) -> TextClause:
    return text(sql).bindparams(bindparam("job_id", type_=Uuid()))


_TAKE_APART = {
    "sqlite": _typed(
        f"INSERT INTO staged_grants ({_COLUMNS}) "  # noqa: S608 - a constant
        "SELECT :job_id, :type, :meta_id, 'direct', json_extract(value, '$[0]'), "
        "json_extract(value, '$[1]'), json_extract(value, '$[2]') FROM json_each(:people)"
    ),
    "postgresql": _typed(
        f"INSERT INTO staged_grants ({_COLUMNS}) "  # noqa: S608 - a constant
        "SELECT :job_id, :type, :meta_id, 'direct', value ->> 0, value -> 1, "
        "(value ->> 2)::boolean FROM jsonb_array_elements(CAST(:people AS jsonb))"
    ),
}


_MARK = (
    update(StagedAsset.__table__)  # type: ignore[arg-type] # a table, to be told many rows at once
    .where(
        StagedAsset.job_id == bindparam("of_job"),
        StagedAsset.type == bindparam("of_type"),
        StagedAsset.meta_id == bindparam("of_meta_id"),
    )
    .values(
        state=bindparam("state"),
        read_at=bindparam("read_at"),
        access_digest=bindparam("access_digest"),
        is_unchanged=bindparam("is_unchanged"),
    )
)


@dataclass(frozen=True, slots=True)
class _Staged:
    """One asset's people in the form in which they are written."""

    read: AccessRead
    people: str
    digest: str | None
    is_unchanged: bool

    def mark(self, job: SyncJob) -> dict[str, Any]:
        asset = self.read.asset
        return {
            "of_job": job.id,
            "of_type": asset.type,
            "of_meta_id": asset.meta_id,
            "state": self._state(),
            "read_at": now(),
            "access_digest": self.digest,
            "is_unchanged": self.is_unchanged,
        }

    def _state(self) -> str:
        if self.digest is not None:
            return "read"
        return "short" if self.read.refusal is None else "refused"

    def grants(self, job: SyncJob) -> dict[str, Any]:
        asset = self.read.asset
        return {
            "job_id": job.id,
            "type": asset.type,
            "meta_id": asset.meta_id,
            "people": self.people,
        }


async def stage_access(session: AsyncSession, job: SyncJob, reads: Sequence[AccessRead]) -> None:
    """Write who is assigned to these assets, and mark them as dealt with."""
    # One that a page lists twice is written once.
    reads = list({_key(read.asset): read for read in reads}.values())
    if not reads:
        return
    known = await known_digests(session, job, [read.asset for read in reads])
    staged = [_in_short(read, known) for read in reads]
    await _drop_what_was_staged_before(session, job, reads)
    connection = await session.connection()
    await connection.execute(_MARK, [one.mark(job) for one in staged])
    changed = [one for one in staged if not one.is_unchanged]
    if changed:
        take_apart = _TAKE_APART[session.get_bind().dialect.name]
        await connection.execute(take_apart, [one.grants(job) for one in changed])
    people = {meta_id_of(row): row for one in changed for row in one.read.rows}
    await _stage_names(session, job, people)


async def _drop_what_was_staged_before(
    session: AsyncSession, job: SyncJob, reads: Sequence[AccessRead]
) -> None:
    """Before a crash this attempt may have written the same assets already; mostly it has not."""
    dealt_with = await session.execute(
        select(StagedAsset.type, StagedAsset.meta_id)
        .where(StagedAsset.job_id == job.id, StagedAsset.state != "unread")
        .where(
            tuple_(StagedAsset.type, StagedAsset.meta_id).in_([_key(one.asset) for one in reads])
        )
    )
    places = [(asset_type, meta_id) for asset_type, meta_id in dealt_with]
    if places:
        await session.execute(
            delete(StagedGrant)
            .where(StagedGrant.job_id == job.id, StagedGrant.via == "direct")
            .where(tuple_(StagedGrant.asset_type, StagedGrant.asset_meta_id).in_(places))
        )


async def _stage_names(
    session: AsyncSession, job: SyncJob, people: Mapping[str, Mapping[str, Any]]
) -> None:
    """Whom the business's own lists have not named yet, mostly nobody."""
    ids = list(people)
    for start in range(0, len(ids), _NAMES_AT_A_TIME):
        some = ids[start : start + _NAMES_AT_A_TIME]
        named = await session.scalars(
            select(StagedUser.meta_user_id).where(
                StagedUser.job_id == job.id, StagedUser.meta_user_id.in_(some)
            )
        )
        news = [named_only(job.id, people[user_id]) for user_id in set(some).difference(named)]
        await write_rows(session, StagedUser, news, key=("job_id", "meta_user_id"))


def _in_short(read: AccessRead, known: Mapping[tuple[str, str], str | None]) -> _Staged:
    """One row a person, in an order of its own, so that Meta's does not matter."""
    rows: dict[str, list[Any]] = {}
    task_sets = TaskSets(read.asset.type)
    for row in read.rows:
        user_id, (tasks, full_control) = meta_id_of(row), task_sets.of(row)
        if user_id in rows:
            # Told twice: whatever either row allows.
            tasks = sorted({*rows[user_id][1], *tasks})
            full_control = full_control or rows[user_id][2]
        rows[user_id] = [user_id, tasks, full_control, row.get("name"), row.get("user_type")]
    people = [person for _, person in sorted(rows.items())]
    written = compact_json(people)
    if _MAY_BE_REFUSED.search(written):
        written = compact_json(
            [[*person[:3], clean(person[3], 500), clean(person[4], 64)] for person in people]
        )
    digest = hashlib.sha256(written.encode()).hexdigest() if read.is_complete else None
    is_unchanged = digest is not None and known.get(_key(read.asset)) == digest
    return _Staged(read, written, digest, is_unchanged)


class TaskSets:
    """Tasks come in few combinations: each is sorted, cleaned and judged once an asset."""

    def __init__(self, asset_type: str) -> None:
        self._type = asset_type
        self._known: dict[tuple[str, ...], tuple[list[str], bool]] = {}

    def of(self, row: Mapping[str, Any]) -> tuple[list[str], bool]:
        """The tasks of a row as they are stored, and whether they are full control."""
        tasks_told = row.get("tasks")
        told = tuple(map(str, tasks_told)) if isinstance(tasks_told, (list, tuple)) else ()
        if told not in self._known:
            tasks = sorted({clean(task, 100) for task in told})
            self._known[told] = (tasks, full_control(self._type, tasks))
        return self._known[told]


def _key(asset: AssetToRead) -> tuple[str, str]:
    return asset.type, asset.meta_id


async def known_digests(
    session: AsyncSession, job: SyncJob, assets: Sequence[AssetToRead]
) -> dict[tuple[str, str], str | None]:
    """By (type, meta id), in short who was assigned at the last check that saw all of them."""
    query = (
        select(Asset.type, Asset.meta_id, AssetShare.access_digest)
        .join(AssetShare, AssetShare.asset_id == Asset.id)
        .where(AssetShare.partner_id == job.partner_id, Asset.integration_id == job.integration_id)
        .where(tuple_(Asset.type, Asset.meta_id).in_([_key(asset) for asset in assets]))
    )
    return {(kind, meta_id): digest for kind, meta_id, digest in await session.execute(query)}
