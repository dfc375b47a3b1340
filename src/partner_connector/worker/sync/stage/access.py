"""Staging of the users of an asset, as one JSON text that the database expands into rows.

This needs no Python object and no SQL parameter for each row. A hash of the text shows at the next
sync job if the asset's access is unchanged; then no rows are written.
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
from partner_connector.db.sql import compact_json, storable_text, write_rows
from partner_connector.graph import full_control
from partner_connector.worker.meta.access import AccessRead
from partner_connector.worker.meta.shared_assets import AssetToRead
from partner_connector.worker.sync.stage.staging import meta_id_of, user_with_name_only

# PostgreSQL refuses NUL and unpaired surrogates in JSON. Paired surrogates match here too.
_UNSTORABLE_JSON = re.compile(r"\\u(0000|d[89a-f])")
# SQLite limits the number of values in a statement.
_IDS_PER_QUERY = 900
_COLUMNS = "job_id, asset_type, asset_meta_id, via, meta_user_id, tasks, full_control"


def _typed(sql: str) -> TextClause:
    return text(sql).bindparams(bindparam("job_id", type_=Uuid()))


_INSERT_GRANTS = {
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


_MARK_ASSET = (
    update(StagedAsset.__table__)  # type: ignore[arg-type] # a table, for executemany
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
    """Users of one asset, ready to be written to staging."""

    read: AccessRead
    people: str
    digest: str | None
    is_unchanged: bool

    def asset_values(self, job: SyncJob) -> dict[str, Any]:
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

    def grant_values(self, job: SyncJob) -> dict[str, Any]:
        asset = self.read.asset
        return {
            "job_id": job.id,
            "type": asset.type,
            "meta_id": asset.meta_id,
            "people": self.people,
        }


async def stage_access(session: AsyncSession, job: SyncJob, reads: Sequence[AccessRead]) -> None:
    """Stage the users of these assets, and mark the assets as read."""
    # A page may list an asset twice.
    reads = list({_key(read.asset): read for read in reads}.values())
    if not reads:
        return
    known = await known_digests(session, job, [read.asset for read in reads])
    staged = [_to_staged(read, known) for read in reads]
    await _delete_earlier_grants(session, job, reads)
    connection = await session.connection()
    await connection.execute(_MARK_ASSET, [users.asset_values(job) for users in staged])
    changed = [users for users in staged if not users.is_unchanged]
    if changed:
        insert_grants = _INSERT_GRANTS[session.get_bind().dialect.name]
        await connection.execute(insert_grants, [users.grant_values(job) for users in changed])
    people = {meta_id_of(row): row for users in changed for row in users.read.rows}
    await _stage_names(session, job, people)


async def _delete_earlier_grants(
    session: AsyncSession, job: SyncJob, reads: Sequence[AccessRead]
) -> None:
    """Delete grants of these assets that were staged before a crash, if any."""
    staged_before = await session.execute(
        select(StagedAsset.type, StagedAsset.meta_id)
        .where(StagedAsset.job_id == job.id, StagedAsset.state != "unread")
        .where(
            tuple_(StagedAsset.type, StagedAsset.meta_id).in_([_key(read.asset) for read in reads])
        )
    )
    asset_keys = [(asset_type, meta_id) for asset_type, meta_id in staged_before]
    if asset_keys:
        await session.execute(
            delete(StagedGrant)
            .where(StagedGrant.job_id == job.id, StagedGrant.via == "direct")
            .where(tuple_(StagedGrant.asset_type, StagedGrant.asset_meta_id).in_(asset_keys))
        )


async def _stage_names(
    session: AsyncSession, job: SyncJob, people: Mapping[str, Mapping[str, Any]]
) -> None:
    """Stage the users that are not staged yet; the business's own lists usually name all users."""
    ids = list(people)
    for start in range(0, len(ids), _IDS_PER_QUERY):
        batch = ids[start : start + _IDS_PER_QUERY]
        named = await session.scalars(
            select(StagedUser.meta_user_id).where(
                StagedUser.job_id == job.id, StagedUser.meta_user_id.in_(batch)
            )
        )
        news = [
            user_with_name_only(job.id, people[user_id]) for user_id in set(batch).difference(named)
        ]
        await write_rows(session, StagedUser, news, key=("job_id", "meta_user_id"))


def _to_staged(read: AccessRead, known: Mapping[tuple[str, str], str | None]) -> _Staged:
    """Convert a read to one row for each user, sorted so that Meta's order does not matter."""
    rows: dict[str, list[Any]] = {}
    task_sets = TaskSets(read.asset.type)
    for row in read.rows:
        user_id, (tasks, full_control) = meta_id_of(row), task_sets.of(row)
        if user_id in rows:
            # Listed twice: combine the access of both rows.
            tasks = sorted({*rows[user_id][1], *tasks})
            full_control = full_control or rows[user_id][2]
        rows[user_id] = [user_id, tasks, full_control, row.get("name"), row.get("user_type")]
    people = [person for _, person in sorted(rows.items())]
    serialized = compact_json(people)
    if _UNSTORABLE_JSON.search(serialized):
        serialized = compact_json(
            [
                [*person[:3], storable_text(person[3], 500), storable_text(person[4], 64)]
                for person in people
            ]
        )
    digest = hashlib.sha256(serialized.encode()).hexdigest() if read.is_complete else None
    is_unchanged = digest is not None and known.get(_key(read.asset)) == digest
    return _Staged(read, serialized, digest, is_unchanged)


class TaskSets:
    """Cache of task combinations: each is sorted, cleaned and classified once for an asset."""

    def __init__(self, asset_type: str) -> None:
        self._type = asset_type
        self._known: dict[tuple[str, ...], tuple[list[str], bool]] = {}

    def of(self, row: Mapping[str, Any]) -> tuple[list[str], bool]:
        """Return a row's tasks as they are stored, and True if they are full control."""
        raw = row.get("tasks")
        names = tuple(map(str, raw)) if isinstance(raw, (list, tuple)) else ()
        if names not in self._known:
            tasks = sorted({storable_text(task, 100) for task in names})
            self._known[names] = (tasks, full_control(self._type, tasks))
        return self._known[names]


def _key(asset: AssetToRead) -> tuple[str, str]:
    return asset.type, asset.meta_id


async def known_digests(
    session: AsyncSession, job: SyncJob, assets: Sequence[AssetToRead]
) -> dict[tuple[str, str], str | None]:
    """Return, by (type, meta id), the access digests of the last complete reads."""
    query = (
        select(Asset.type, Asset.meta_id, AssetShare.access_digest)
        .join(AssetShare, AssetShare.asset_id == Asset.id)
        .where(AssetShare.partner_id == job.partner_id, Asset.integration_id == job.integration_id)
        .where(tuple_(Asset.type, Asset.meta_id).in_([_key(asset) for asset in assets]))
    )
    return {(kind, meta_id): digest for kind, meta_id, digest in await session.execute(query)}
