"""Who reaches shared assets through the partner's business asset groups.

A group holds assets and has members, and no list of an asset's people tells those (REFERENCE 3.2
[3]). So the groups are listed with what they hold and who is in them, and each member of a group
that holds something shared is asked what it may do there, which stands nowhere else (plan c4). What
Meta refuses to tell is a warning and no grant: unknown is not none, and what was known stays.
"""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sqlalchemy import delete, literal_column, select
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.models import Asset, Grant, StagedAsset, StagedGrant, StagedUser
from partner_connector.db.sql import write_rows
from partner_connector.graph import (
    REFUSALS,
    Answer,
    BatchRead,
    FirstPage,
    GraphError,
    GraphReader,
    UnknownGraphError,
    edges,
    first_page,
    page_from,
)
from partner_connector.worker.meta.access import AccessRead, access_from_row, access_of
from partner_connector.worker.meta.shared_assets import HITS_THE_REST_TOO, AssetToRead
from partner_connector.worker.sync.stage.staging import named_only, staged_grant

_VIA = "asset_group"
_MEMBERS = "assigned_users"
_NONE = {"data": [], "summary": {"total_count": 0}}
_GRANT_KEY = ("job_id", "asset_type", "asset_meta_id", "meta_user_id", "via")
# Where a member's own list tells what it may do; no document names a field for catalogs.
_TASKS = {"ad_account": "adaccount_tasks", "page": "page_tasks", "pixel": "pixel_tasks"}

Row = Mapping[str, Any]
# An asset by its type and Meta's id.
AssetKey = tuple[str, str]
# Code, edge and detail of a warning.
Note = tuple[str, str, str]


@dataclass(slots=True)
class Group:
    """One asset group: Meta's ids of what it holds by type of asset, and who of the partner is in
    it. None where Meta has not told that.
    """

    node: AssetToRead
    contents: dict[str, set[str] | None]
    members: AccessRead | None

    def assets(self) -> set[AssetKey]:
        """What is known to be in it."""
        return {(kind, meta_id) for kind, ids in self.contents.items() for meta_id in ids or ()}

    def people(self) -> list[dict[str, Any]]:
        """Who is known to be in it."""
        return self.members.rows if self.members is not None else []


@dataclass(slots=True)
class GroupsRead:
    """The groups that hold something shared, and what of them Meta did not tell."""

    groups: list[Group] = field(default_factory=list)
    # The shared assets of which it is known which groups hold them, and who is in those.
    assets: list[AssetKey] = field(default_factory=list)
    warnings: list[Note] = field(default_factory=list)
    # Meta refuses the groups with what is in them for good, and gave them without.
    is_bare: bool = False
    # By member, what a batch brought of its own list, then the rows of that list by group.
    first_pages: dict[str, FirstPage] = field(default_factory=dict)
    told: dict[str, dict[str, Row]] = field(default_factory=dict)

    def members(self) -> dict[str, Row]:
        """Everybody in any of the groups, by Meta's id."""
        return {str(row["id"]): row for group in self.groups for row in group.people()}

    def reads(self) -> list[BatchRead[None]]:
        """Return the reads that tell the tasks of each member; their answers are left here."""
        return [
            BatchRead(edges.assigned_business_asset_groups(user_id), partial(self._hear, user_id))
            for user_id in self.members()
        ]

    def _hear(self, user_id: str, answer: Answer) -> None:
        read = edges.assigned_business_asset_groups(user_id)
        self.first_pages[user_id] = FirstPage(read, answer)


async def read_groups(
    reader: GraphReader,
    first: FirstPage,
    business_id: str,
    shared: frozenset[AssetKey],
    kinds_at_stake: Collection[str] = (),
) -> GroupsRead:
    """The partner's groups, but for what their members may do.

    Asks more only for what the first page leaves open. `kinds_at_stake` are those on which somebody
    is known to have access through a group.
    """
    found = GroupsRead()
    try:
        rows, found.is_bare = await _rows(reader, first)
    except REFUSALS as refusal:
        detail = f"Meta refused to list the partner's asset groups: {refusal}"
        found.warnings.append(("edge_refused", first.read.edge, detail))
        return found
    groups = groups_from_rows(rows, business_id, kinds_at_stake)
    found.warnings += await _ask_contents(reader, groups)
    found.groups = [group for group in groups if not shared.isdisjoint(group.assets())]
    found.warnings += await _ask_members(reader, found.groups, business_id)
    kept_back = {kind for group in groups for kind, ids in group.contents.items() if ids is None}
    known = {asset for group in found.groups for asset in group.assets() & shared}
    for group in found.groups:
        if group.members is None:
            known -= group.assets()
    found.assets = sorted(asset for asset in known if asset[0] not in kept_back)
    return found


async def _rows(reader: GraphReader, first: FirstPage) -> tuple[list[dict[str, Any]], bool]:
    """The rows of all groups, and whether Meta refuses them with their contents for good."""
    bare = edges.business_asset_groups(first.read.subject)
    try:
        return await reader.rows(first), False
    except HITS_THE_REST_TOO:
        raise
    except GraphError as trouble:
        if first.read == bare:
            raise
        return await reader.rows(bare), not trouble.transient


def groups_from_rows(
    rows: Sequence[Row], business_id: str, kinds_at_stake: Collection[str] = ()
) -> list[Group]:
    """What the rows tell of their groups; the rest has to be asked for. Pure.

    An edge without rows is left out, and so may be one that Meta refuses (8.2 [O]). All groups are
    the partner's own, so what is shown of one is not refused of another: there it is empty. A kind
    that no row shows is asked for where somebody's access is at stake.
    """
    shown = {edge for row in rows for edge in (*edges.CONTAINED.values(), _MEMBERS) if edge in row}
    groups = []
    for row in rows:
        node = AssetToRead("asset_group", str(row["id"]), str(row.get("name") or row["id"]))
        contents = {
            kind: None
            if edge not in shown and (not shown or kind in kinds_at_stake)
            else _ids_told(row.get(edge, _NONE))
            for kind, edge in edges.CONTAINED.items()
        }
        people = row.get(_MEMBERS, _NONE if _MEMBERS in shown else None)
        members = access_from_row(node, people, business_id) if isinstance(people, dict) else None
        groups.append(Group(node, contents, members))
    return groups


def _ids_told(nested: object) -> set[str] | None:
    """None where there is more than the row shows."""
    try:
        page = page_from(nested if isinstance(nested, dict) else {})
    except UnknownGraphError:
        return None
    return _ids(page.rows) if page.next_cursor is None else None


def _ids(rows: Sequence[Row]) -> set[str]:
    return {str(row["id"]).removeprefix("act_") for row in rows}


async def _ask_contents(reader: GraphReader, groups: Sequence[Group]) -> list[Note]:
    """What the groups hold, where their rows left it open; and what Meta refuses of it."""
    open_ = [(group, kind) for group in groups for kind in group.contents]
    asked = [(group, kind) for group, kind in open_ if group.contents[kind] is None]
    first_pages = await reader.batch(
        [first_page(edges.group_contents(group.node.meta_id, kind)) for group, kind in asked]
    )
    warnings: list[Note] = []
    for (group, kind), first in zip(asked, first_pages, strict=True):
        try:
            group.contents[kind] = _ids(await reader.rows(first))
        except REFUSALS as refusal:
            detail = f"Meta refused to list what is in the {_spell(group)}: {refusal}"
            warnings.append(("edge_refused", first.read.edge, detail))
    return warnings


async def _ask_members(
    reader: GraphReader, groups: Sequence[Group], business_id: str
) -> list[Note]:
    """Who is in the groups, where their rows left it open; and what Meta keeps back of it."""
    asked = [group for group in groups if group.members is None]
    first_pages = await reader.batch(
        [first_page(edges.group_members(group.node.meta_id, business_id)) for group in asked]
    )
    warnings: list[Note] = []
    for group, first in zip(asked, first_pages, strict=True):
        try:
            rows, total = await reader.counted_rows(first)
        except REFUSALS as refusal:
            detail = f"Meta refused to list who is in the {_spell(group)}: {refusal}"
            warnings.append(("edge_refused", first.read.edge, detail))
            continue
        group.members = access_of(group.node, rows, total, business_id)
        if group.members.is_short:
            detail = f"Meta showed fewer in the {_spell(group)} than it counts, or gave no count."
            warnings.append(("edge_incomplete", first.read.edge, detail))
    return warnings


async def read_memberships(reader: GraphReader, found: GroupsRead) -> None:
    """Note what each member may do, once a batch has brought the answers to `found.reads()`."""
    members = found.members()
    groups_of: dict[str, set[str]] = {user_id: set() for user_id in members}
    for group in found.groups:
        for row in group.people():
            groups_of[str(row["id"])].add(group.node.meta_id)
    for user_id, first in found.first_pages.items():
        who = f"{members[user_id].get('name') or 'somebody'} ({user_id})"
        try:
            rows = await reader.rows(first)
        except REFUSALS as refusal:
            detail = f"Meta refused to list the asset groups of {who}: {refusal}"
            found.warnings.append(("edge_refused", first.read.edge, detail))
            continue
        found.told[user_id] = {str(row["id"]): row for row in rows}
        missing = groups_of[user_id] - found.told[user_id].keys()
        if missing:
            detail = f"Meta did not tell what {who} may do in {len(missing)} of its asset groups."
            found.warnings.append(("edge_incomplete", first.read.edge, detail))


def _spell(group: Group) -> str:
    return f"asset group {group.node.name} ({group.node.meta_id})"


def tasks_on(asset: AssetKey, found: GroupsRead) -> dict[str, set[str]]:
    """Who reaches one asset through any group, with the tasks of all its groups together. Pure.

    Nobody is in it of whose groups Meta did not tell all.
    """
    kind, meta_id = asset
    tasks: dict[str, set[str]] = {}
    unknown: set[str] = set()
    for group in found.groups:
        if meta_id not in (group.contents[kind] or ()):
            continue
        for user_id in (str(row["id"]) for row in group.people()):
            membership = found.told.get(user_id, {}).get(group.node.meta_id)
            if membership is None:
                unknown.add(user_id)
            elif (own := _tasks_in(membership, kind)) is not None:
                tasks.setdefault(user_id, set()).update(own)
    return {user_id: own for user_id, own in tasks.items() if user_id not in unknown}


def _tasks_in(membership: Row, kind: str) -> Collection[str] | None:
    """What a member may do with assets of this type; None for nothing.

    Nothing tells the tasks of catalogs, so a member may do something with them. The same holds for
    all of a group whose row tells no tasks of any type.
    """
    if kind not in _TASKS or not any(name in membership for name in _TASKS.values()):
        return ()
    return membership.get(_TASKS[kind]) or None


async def assets_listed(
    session: AsyncSession, job_id: uuid.UUID, attempt: int
) -> frozenset[AssetKey]:
    """What this attempt was shown as shared."""
    query = select(StagedAsset.type, StagedAsset.meta_id).where(
        StagedAsset.job_id == job_id, StagedAsset.listed_in == attempt
    )
    return frozenset((kind, meta_id) for kind, meta_id in await session.execute(query))


async def stage_group_access(session: AsyncSession, job_id: uuid.UUID, found: GroupsRead) -> None:
    """Write who reaches what through groups, instead of all that an earlier attempt wrote."""
    await session.execute(
        delete(StagedGrant).where(StagedGrant.job_id == job_id, StagedGrant.via == _VIA)
    )
    people = [named_only(job_id, row) for row in found.members().values()]
    await write_rows(session, StagedUser, people, key=("job_id", "meta_user_id"))
    for kind, meta_id in found.assets:
        grants = [
            staged_grant(job_id, kind, meta_id, {"id": user_id, "tasks": tasks}, via=_VIA)
            for user_id, tasks in tasks_on((kind, meta_id), found).items()
        ]
        await write_rows(session, StagedGrant, grants, key=_GRANT_KEY)


async def kinds_at_stake(session: AsyncSession, partner_id: uuid.UUID | None) -> frozenset[str]:
    """The kinds of assets that somebody is known to reach through a group."""
    rows = await session.scalars(
        select(Asset.type)
        .join(Grant, Grant.asset_id == Asset.id)
        .where(Grant.partner_id == partner_id, Grant.via == literal_column("'asset_group'"))
        .distinct()
    )
    return frozenset(rows)
