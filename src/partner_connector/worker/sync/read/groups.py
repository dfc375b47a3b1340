"""Reads of access through the partner's business asset groups.

A group holds assets and has members, and the list of an asset's users does not name those members
(`docs/reference/graph-facts.md#assigned-users`). So this module lists the groups with their assets
and members. Then it reads the tasks of each member of a group that holds a shared asset; no other
edge returns the tasks (`#plan-people`). A refused read adds a warning and no grant, and stored
grants stay: unknown access is not the same as no access.
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
from partner_connector.worker.meta.shared_assets import ERRORS_OF_ALL_READS, AssetToRead
from partner_connector.worker.sync.stage.staging import staged_grant, user_with_name_only

_VIA = "asset_group"
_MEMBERS = "assigned_users"
_EMPTY_LIST = {"data": [], "summary": {"total_count": 0}}
_GRANT_KEY = ("job_id", "asset_type", "asset_meta_id", "meta_user_id", "via")
# Fields with a member's tasks, by asset type. Meta documents no field for catalogs.
_TASKS = {"ad_account": "adaccount_tasks", "page": "page_tasks", "pixel": "pixel_tasks"}

Row = Mapping[str, Any]
# An asset by its type and Meta's id.
AssetKey = tuple[str, str]
# Code, edge and detail of a warning.
WarningFacts = tuple[str, str, str]


@dataclass(slots=True)
class Group:
    """Asset group: Meta's ids of its assets by type, and its members. None where unknown."""

    node: AssetToRead
    contents: dict[str, set[str] | None]
    members: AccessRead | None

    def assets(self) -> set[AssetKey]:
        """Return the assets known to be in the group."""
        return {(kind, meta_id) for kind, ids in self.contents.items() for meta_id in ids or ()}

    def people(self) -> list[dict[str, Any]]:
        """Return the rows of the known members."""
        return self.members.rows if self.members is not None else []


@dataclass(slots=True)
class GroupsRead:
    """Groups that hold a shared asset, and warnings about incomplete reads."""

    groups: list[Group] = field(default_factory=list)
    # Shared assets whose groups and group members are all known.
    assets: list[AssetKey] = field(default_factory=list)
    warnings: list[WarningFacts] = field(default_factory=list)
    # Meta permanently refuses nested contents, and returned the groups without them.
    nested_refused: bool = False
    # By member: the first page of its list of groups, then the rows of that list by group.
    first_pages: dict[str, FirstPage] = field(default_factory=dict)
    memberships: dict[str, dict[str, Row]] = field(default_factory=dict)

    def members(self) -> dict[str, Row]:
        """Return the members of all groups by Meta's id."""
        return {str(row["id"]): row for group in self.groups for row in group.people()}

    def reads(self) -> list[BatchRead[None]]:
        """Return the reads of each member's tasks. Their answers go to `first_pages`."""
        return [
            BatchRead(
                edges.assigned_business_asset_groups(user_id), partial(self._receive, user_id)
            )
            for user_id in self.members()
        ]

    def _receive(self, user_id: str, answer: Answer) -> None:
        read = edges.assigned_business_asset_groups(user_id)
        self.first_pages[user_id] = FirstPage(read, answer)


async def read_groups(
    reader: GraphReader,
    first: FirstPage,
    business_id: str,
    shared: frozenset[AssetKey],
    types_with_group_grants: Collection[str] = (),
) -> GroupsRead:
    """Read the partner's groups, without the tasks of their members.

    Sends more reads only for what the first page leaves out. `types_with_group_grants` are the
    asset types on which at least one user is known to have access through a group.
    """
    found = GroupsRead()
    try:
        rows, found.nested_refused = await _rows(reader, first)
    except REFUSALS as refusal:
        detail = f"Meta refused to list the partner's asset groups: {refusal}"
        found.warnings.append(("edge_refused", first.read.edge, detail))
        return found
    groups = groups_from_rows(rows, business_id, types_with_group_grants)
    found.warnings += await _read_contents(reader, groups)
    found.groups = [group for group in groups if not shared.isdisjoint(group.assets())]
    found.warnings += await _read_members(reader, found.groups, business_id)
    unknown_types = {
        kind for group in groups for kind, ids in group.contents.items() if ids is None
    }
    known = {asset for group in found.groups for asset in group.assets() & shared}
    for group in found.groups:
        if group.members is None:
            known -= group.assets()
    found.assets = sorted(asset for asset in known if asset[0] not in unknown_types)
    return found


async def _rows(reader: GraphReader, first: FirstPage) -> tuple[list[dict[str, Any]], bool]:
    """Return the rows of all groups, and True if Meta permanently refuses nested contents."""
    bare = edges.business_asset_groups(first.read.subject)
    try:
        return await reader.rows(first), False
    except ERRORS_OF_ALL_READS:
        raise
    except GraphError as error:
        if first.read == bare:
            raise
        return await reader.rows(bare), not error.transient


def groups_from_rows(
    rows: Sequence[Row], business_id: str, types_with_group_grants: Collection[str] = ()
) -> list[Group]:
    """Convert rows to groups; None marks contents and members that need their own read. Pure.

    Meta leaves out a nested edge that has no rows, and perhaps also an edge that it refuses
    (`#field-expansion`). All groups belong to the partner, so Meta does not refuse an edge for one
    group and show it for another: an edge missing from only some rows is empty there. A type that
    no row shows needs a read if it is in `types_with_group_grants` or if no row shows any edge.
    """
    shown = {edge for row in rows for edge in (*edges.CONTAINED.values(), _MEMBERS) if edge in row}
    groups = []
    for row in rows:
        node = AssetToRead("asset_group", str(row["id"]), str(row.get("name") or row["id"]))
        contents = {
            kind: None
            if edge not in shown and (not shown or kind in types_with_group_grants)
            else _complete_ids(row.get(edge, _EMPTY_LIST))
            for kind, edge in edges.CONTAINED.items()
        }
        people = row.get(_MEMBERS, _EMPTY_LIST if _MEMBERS in shown else None)
        members = access_from_row(node, people, business_id) if isinstance(people, dict) else None
        groups.append(Group(node, contents, members))
    return groups


def _complete_ids(nested: object) -> set[str] | None:
    """Return the ids of a nested list, or None if it has more pages or cannot be read."""
    try:
        page = page_from(nested if isinstance(nested, dict) else {})
    except UnknownGraphError:
        return None
    return _ids(page.rows) if page.next_cursor is None else None


def _ids(rows: Sequence[Row]) -> set[str]:
    return {str(row["id"]).removeprefix("act_") for row in rows}


async def _read_contents(reader: GraphReader, groups: Sequence[Group]) -> list[WarningFacts]:
    """Read the contents that the groups' rows left out. Return warnings about refusals."""
    contents = [(group, kind) for group in groups for kind in group.contents]
    unread = [(group, kind) for group, kind in contents if group.contents[kind] is None]
    first_pages = await reader.batch(
        [first_page(edges.group_contents(group.node.meta_id, kind)) for group, kind in unread]
    )
    warnings: list[WarningFacts] = []
    for (group, kind), first in zip(unread, first_pages, strict=True):
        try:
            group.contents[kind] = _ids(await reader.rows(first))
        except REFUSALS as refusal:
            detail = f"Meta refused to list the assets of the {_label(group)}: {refusal}"
            warnings.append(("edge_refused", first.read.edge, detail))
    return warnings


async def _read_members(
    reader: GraphReader, groups: Sequence[Group], business_id: str
) -> list[WarningFacts]:
    """Read the members that the groups' rows left out. Return warnings about incomplete lists."""
    unread = [group for group in groups if group.members is None]
    first_pages = await reader.batch(
        [first_page(edges.group_members(group.node.meta_id, business_id)) for group in unread]
    )
    warnings: list[WarningFacts] = []
    for group, first in zip(unread, first_pages, strict=True):
        try:
            rows, total = await reader.counted_rows(first)
        except REFUSALS as refusal:
            detail = f"Meta refused to list the members of the {_label(group)}: {refusal}"
            warnings.append(("edge_refused", first.read.edge, detail))
            continue
        group.members = access_of(group.node, rows, total, business_id)
        if group.members.is_short:
            detail = (
                f"Meta returned fewer members of the {_label(group)} than it counts, or no count."
            )
            warnings.append(("edge_incomplete", first.read.edge, detail))
    return warnings


async def read_memberships(reader: GraphReader, found: GroupsRead) -> None:
    """Store each member's tasks, after a batch has answered `found.reads()`."""
    members = found.members()
    groups_of: dict[str, set[str]] = {user_id: set() for user_id in members}
    for group in found.groups:
        for row in group.people():
            groups_of[str(row["id"])].add(group.node.meta_id)
    for user_id, first in found.first_pages.items():
        user = f"{members[user_id].get('name') or 'unnamed user'} ({user_id})"
        try:
            rows = await reader.rows(first)
        except REFUSALS as refusal:
            detail = f"Meta refused to list the asset groups of {user}: {refusal}"
            found.warnings.append(("edge_refused", first.read.edge, detail))
            continue
        found.memberships[user_id] = {str(row["id"]): row for row in rows}
        missing = groups_of[user_id] - found.memberships[user_id].keys()
        if missing:
            detail = f"Meta did not return the tasks of {user} in {len(missing)} asset groups."
            found.warnings.append(("edge_incomplete", first.read.edge, detail))


def _label(group: Group) -> str:
    return f"asset group {group.node.name} ({group.node.meta_id})"


def tasks_on(asset: AssetKey, found: GroupsRead) -> dict[str, set[str]]:
    """Return users with access to an asset through groups, with the tasks of all groups. Pure.

    Leaves out a user whose tasks are unknown in one of the groups that hold the asset.
    """
    kind, meta_id = asset
    tasks: dict[str, set[str]] = {}
    unknown: set[str] = set()
    for group in found.groups:
        if meta_id not in (group.contents[kind] or ()):
            continue
        for user_id in (str(row["id"]) for row in group.people()):
            membership = found.memberships.get(user_id, {}).get(group.node.meta_id)
            if membership is None:
                unknown.add(user_id)
            elif (names := _tasks_in(membership, kind)) is not None:
                tasks.setdefault(user_id, set()).update(names)
    return {user_id: names for user_id, names in tasks.items() if user_id not in unknown}


def _tasks_in(membership: Row, kind: str) -> Collection[str] | None:
    """Return a member's tasks on assets of this type; None means no access.

    An empty result means access with unknown tasks: Meta returns no tasks for catalogs, and some
    rows hold no tasks of any type.
    """
    if kind not in _TASKS or not any(name in membership for name in _TASKS.values()):
        return ()
    return membership.get(_TASKS[kind]) or None


async def listed_assets(
    session: AsyncSession, job_id: uuid.UUID, attempt: int
) -> frozenset[AssetKey]:
    """Return the shared assets that this attempt listed."""
    query = select(StagedAsset.type, StagedAsset.meta_id).where(
        StagedAsset.job_id == job_id, StagedAsset.listed_in == attempt
    )
    return frozenset((kind, meta_id) for kind, meta_id in await session.execute(query))


async def stage_group_access(session: AsyncSession, job_id: uuid.UUID, found: GroupsRead) -> None:
    """Replace the staged grants through groups, also those of an earlier attempt."""
    await session.execute(
        delete(StagedGrant).where(StagedGrant.job_id == job_id, StagedGrant.via == _VIA)
    )
    people = [user_with_name_only(job_id, row) for row in found.members().values()]
    await write_rows(session, StagedUser, people, key=("job_id", "meta_user_id"))
    for kind, meta_id in found.assets:
        grants = [
            staged_grant(job_id, kind, meta_id, {"id": user_id, "tasks": tasks}, via=_VIA)
            for user_id, tasks in tasks_on((kind, meta_id), found).items()
        ]
        await write_rows(session, StagedGrant, grants, key=_GRANT_KEY)


async def types_with_group_grants(
    session: AsyncSession, partner_id: uuid.UUID | None
) -> frozenset[str]:
    """Return the asset types with a known grant through a group."""
    rows = await session.scalars(
        select(Asset.type)
        .join(Grant, Grant.asset_id == Asset.id)
        .where(Grant.partner_id == partner_id, Grant.via == literal_column("'asset_group'"))
        .distinct()
    )
    return frozenset(rows)
