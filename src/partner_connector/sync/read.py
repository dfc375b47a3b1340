"""Reading one partner into staging: its shared assets, its people, and who is assigned to what.

Every function does its network reads first and then writes, so that no transaction is open across
a call to Meta; every write may be repeated.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.clock import now
from partner_connector.database import clean, write_rows
from partner_connector.graph import (
    REFUSALS,
    Blocked,
    GraphClient,
    GraphError,
    GraphReader,
    Read,
    TokenDead,
    UnknownGraphError,
    edges,
    full_control,
    page_from,
    role_class,
)
from partner_connector.ids import new_id
from partner_connector.models import StagedAsset, StagedGrant, StagedUser
from partner_connector.sync.shared_assets import SharedAsset, asset_path

# One Graph batch holds 50 operations.
ASSETS_AT_A_TIME = 50
# A Page token dies by itself when its admin loses the Page; the partner's own may live.
PAGE_REFUSALS = (*REFUSALS, TokenDead, Blocked, UnknownGraphError)

_TWO_FACTOR = {"on": "on", "enabled": "on", "true": "on", "off": "off", "disabled": "off"}


@dataclass(frozen=True, slots=True)
class AssetToRead:
    """A staged asset whose users are to be read."""

    type: str
    meta_id: str
    name: str

    @property
    def path(self) -> str:
        """Where Meta keeps it."""
        return asset_path(self.type, self.meta_id)


@dataclass(slots=True)
class AccessRead:
    """What came of reading one asset's users."""

    asset: AssetToRead
    rows: list[dict[str, Any]] = field(default_factory=list)
    refusal: GraphError | None = None
    # Rows came to an end, but Meta counts more, or told nothing at all.
    is_short: bool = False

    @property
    def is_complete(self) -> bool:
        """Whether somebody who is not among the rows surely has no access."""
        return self.refusal is None and not self.is_short


async def stage_assets(
    session: AsyncSession, job_id: uuid.UUID, attempt: int, assets: Sequence[SharedAsset]
) -> None:
    """Note shared assets as listed by this attempt. One that was read already stays read."""
    rows = [
        {
            "job_id": job_id,
            "type": asset.type,
            "meta_id": asset.meta_id,
            "id": new_id(),
            "name": clean(asset.name, 500),
            "direction": asset.direction,
            "permitted_tasks": list(asset.permitted_tasks) if asset.permitted_tasks else None,
            "listed_in": attempt,
            "state": "unread",
            "read_at": None,
        }
        for asset in assets
    ]
    await write_rows(
        session,
        StagedAsset,
        rows,
        key=("job_id", "type", "meta_id"),
        update=("name", "direction", "permitted_tasks", "listed_in"),
    )


async def stage_people(
    session: AsyncSession, job_id: uuid.UUID, kind: str, rows: Sequence[Mapping[str, Any]]
) -> None:
    """Note what the business says about its people: it wins over what an asset says."""
    columns = ("kind", "name", "email", "title", "role", "role_class", "two_factor")
    await write_rows(
        session,
        StagedUser,
        [_person(job_id, kind, row) for row in rows],
        key=("job_id", "meta_user_id"),
        update=(*columns, "finance_permission", "enriched"),
    )


def _person(job_id: uuid.UUID, kind: str, row: Mapping[str, Any]) -> dict[str, Any]:
    email = row.get("email")
    role = _short(row.get("role"), 64)
    return {
        "job_id": job_id,
        "meta_user_id": str(row["id"]),
        "id": new_id(),
        "kind": kind,
        "name": clean(row.get("name") or row["id"], 500),
        # Matching is by exact address (DOMAIN R11), and addresses differ in case only by accident.
        "email": clean(email, 320).strip().lower() if email else None,
        "title": _short(row.get("title"), 500),
        "role": role,
        "role_class": role_class(role),
        "two_factor": _TWO_FACTOR.get(str(row.get("two_fac_status", "")).lower(), "unknown"),
        "finance_permission": _short(row.get("finance_permission"), 64),
        "enriched": True,
    }


def _short(value: Any, length: int) -> str | None:
    return clean(value, length) if value else None


async def next_assets(
    session: AsyncSession, job_id: uuid.UUID, attempt: int
) -> tuple[list[AssetToRead], bool]:
    """The next assets to read, and whether they are Pages. Pages come last, on their own."""
    query = (
        select(StagedAsset.type, StagedAsset.meta_id, StagedAsset.name)
        .where(
            StagedAsset.job_id == job_id,
            StagedAsset.listed_in == attempt,
            StagedAsset.state == "unread",
        )
        .order_by(StagedAsset.type, StagedAsset.meta_id)
        .limit(ASSETS_AT_A_TIME)
    )
    others = [
        AssetToRead(*row) for row in await session.execute(query.where(StagedAsset.type != "page"))
    ]
    if others:
        return others, False
    pages = await session.execute(query.where(StagedAsset.type == "page"))
    return [AssetToRead(*row) for row in pages], True


async def read_access(
    reader: GraphReader, assets: Sequence[AssetToRead], business_id: str
) -> list[AccessRead]:
    """Who of the business is assigned to each asset: one batch, then what overflowed."""
    reads = [edges.assigned_users(asset.path, business_id) for asset in assets]
    answers = await reader.batch(reads)
    return [
        await _to_the_end(reader, asset, read, answer, business_id)
        for asset, read, answer in zip(assets, reads, answers, strict=True)
    ]


async def read_page_access(
    graph: GraphClient, reader: GraphReader, pages: Sequence[AssetToRead], business_id: str
) -> tuple[list[AccessRead], int]:
    """The same for Pages, each with its own Page token (REFERENCE 3.2 [D]), and the calls made.

    A Page that gives no token of its own is asked with the token we have; Meta may accept it.
    """
    own_readers = await page_readers(graph, reader, {page.meta_id for page in pages})
    found = []
    for page in pages:
        page_reader = own_readers.get(page.meta_id, reader)
        read = edges.assigned_users(page.path, business_id)
        answer: dict[str, Any] | GraphError
        try:
            answer = await page_reader.get(read)
        except PAGE_REFUSALS as error:
            if page_reader is reader and isinstance(error, TokenDead):
                raise
            answer = error
        found.append(await _to_the_end(page_reader, page, read, answer, business_id))
    readers = {reader, *own_readers.values()}
    return found, sum(one.counted_calls for one in readers)


async def page_readers(
    graph: GraphClient, reader: GraphReader, wanted: set[str]
) -> dict[str, GraphReader]:
    """A reader with its own token for each wanted Page that gives one."""
    readers: dict[str, GraphReader] = {}
    try:
        async for page in reader.pages(edges.my_accounts()):
            for row in page.rows:
                token = row.get("access_token")
                if row.get("id") in wanted and token:
                    readers[str(row["id"])] = graph.reader(str(token))
    except REFUSALS:
        return readers
    return readers


async def _to_the_end(
    reader: GraphReader,
    asset: AssetToRead,
    read: Read,
    answer: dict[str, Any] | GraphError,
    business_id: str,
) -> AccessRead:
    refusals = PAGE_REFUSALS if asset.type == "page" else REFUSALS
    try:
        if isinstance(answer, GraphError):
            raise answer
        page = page_from(answer)
        rows, total, run = list(page.rows), page.total_count, 1
        if page.next_cursor is not None:
            async for later in reader.pages(read.after(page.next_cursor)):
                if later.run != run:
                    rows, run = [], later.run
                rows.extend(later.rows)
    except refusals as error:
        return AccessRead(asset, refusal=error)
    seen = len({row["id"] for row in rows})
    ours = [
        row for row in rows if (row.get("business") or {}).get("id", business_id) == business_id
    ]
    # An empty list without a count proves nothing: Meta shortens silently (DOMAIN, failure 2).
    is_short = seen < total if total is not None else not rows
    return AccessRead(asset, ours, is_short=is_short)


async def stage_access(
    session: AsyncSession, job_id: uuid.UUID, reads: Sequence[AccessRead]
) -> None:
    """Write who is assigned to these assets, and mark them as dealt with."""
    for read in reads:
        await session.execute(
            delete(StagedGrant).where(
                StagedGrant.job_id == job_id,
                StagedGrant.asset_type == read.asset.type,
                StagedGrant.asset_meta_id == read.asset.meta_id,
            )
        )
        await session.execute(
            update(StagedAsset)
            .where(
                StagedAsset.job_id == job_id,
                StagedAsset.type == read.asset.type,
                StagedAsset.meta_id == read.asset.meta_id,
            )
            .values(state="read" if read.is_complete else "refused", read_at=now())
        )
    grants = {
        (read.asset.type, read.asset.meta_id, str(row["id"])): _grant(job_id, read.asset, row)
        for read in reads
        for row in read.rows
    }
    people = {str(row["id"]): _named_only(job_id, row) for read in reads for row in read.rows}
    await write_rows(session, StagedUser, list(people.values()), key=("job_id", "meta_user_id"))
    await write_rows(
        session,
        StagedGrant,
        list(grants.values()),
        key=("job_id", "asset_type", "asset_meta_id", "meta_user_id", "via"),
        update=("tasks", "full_control"),
    )


def _grant(job_id: uuid.UUID, asset: AssetToRead, row: Mapping[str, Any]) -> dict[str, Any]:
    tasks = sorted({clean(task, 100) for task in row.get("tasks") or ()})
    return {
        "job_id": job_id,
        "asset_type": asset.type,
        "asset_meta_id": asset.meta_id,
        "meta_user_id": str(row["id"]),
        "via": "direct",
        "tasks": tasks,
        "full_control": full_control(asset.type, tasks),
    }


def _named_only(job_id: uuid.UUID, row: Mapping[str, Any]) -> dict[str, Any]:
    # The values of `user_type` are not documented (REFERENCE 3.2): only a hint is taken from it.
    is_system = "SYSTEM" in str(row.get("user_type", "")).upper()
    bare = _person(job_id, "system_user" if is_system else "person", row)
    return {**bare, "enriched": False}
