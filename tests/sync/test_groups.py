"""Access through asset groups: complete rows, further reads, and the resulting grants."""

import json
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from partner_connector.db.engine import Database
from partner_connector.db.models import StagedGrant, StagedUser, SyncJob
from partner_connector.graph import TokenDead, edges, first_page
from partner_connector.worker.meta.access import AccessRead
from partner_connector.worker.meta.shared_assets import OURS_TO_PARTNER, AssetToRead, SharedAsset
from partner_connector.worker.sync.read.groups import (
    Group,
    GroupsRead,
    groups_from_rows,
    read_groups,
    read_memberships,
    stage_group_access,
    tasks_on,
)
from partner_connector.worker.sync.stage.access import stage_access
from partner_connector.worker.sync.stage.staging import stage_assets
from tests.graph.meta import TOKEN, Meta, Reply, error, reply
from tests.sync.checks import make_partner

PARTNER = "900"
ACCOUNT, PAGE = ("ad_account", "10"), ("page", "70")
SHARED = frozenset({ACCOUNT, PAGE})
CONTAINED: dict[str, Any] = {
    "contained_adaccounts": {"data": [{"id": "act_10"}, {"id": "act_11"}]},
    "contained_pages": {"data": [{"id": "70"}]},
}


def group_member(number: str, business: str = PARTNER) -> dict[str, Any]:
    """Return one row of a group's `assigned_users`."""
    return {"id": number, "name": f"Person {number}", "business": {"id": business}}


def members_edge(*rows: dict[str, Any]) -> dict[str, Any]:
    """Return the `assigned_users` edge of a group, with its count."""
    return {"data": list(rows), "summary": {"total_count": len(rows)}}


def row(number: str = "33", **nested: Any) -> dict[str, Any]:
    """Return one row of `business_asset_groups`."""
    return {"id": number, "name": f"Group {number}", **nested}


FULL = row(**CONTAINED, assigned_users=members_edge(group_member("1")))


def item(content: dict[str, Any], code: int = 200) -> dict[str, Any]:
    """Return one answer of a batch."""
    return {"code": code, "body": json.dumps(content)}


def refused_item(code: int, message: str = "No", **more: Any) -> dict[str, Any]:
    """Return one refusal in a batch."""
    return item({"error": {"code": code, "message": message, **more}}, 400)


NOTHING = item({"data": []})


async def read_all(meta: Meta) -> GroupsRead:
    """Read the groups, with the first answer from a batch."""
    reader = meta.client().reader(TOKEN)
    wanted = edges.business_asset_groups(PARTNER, with_contents=True)
    (first,) = await reader.batch([first_page(wanted)])
    return await read_groups(reader, first, PARTNER, SHARED)


def requested_edges(meta: Meta, index: int = -1) -> list[str]:
    """Return the edges that one batch requested."""
    return [one["relative_url"].partition("?")[0] for one in meta.operations(index)]


# Rows that are complete


def test_complete_row_needs_no_further_read() -> None:
    """Treat missing edges as empty, and name ad accounts by number."""
    full, empty = groups_from_rows([FULL, row("34")], PARTNER)

    assert full.assets() == {*SHARED, ("ad_account", "11")}
    assert full.contents["pixel"] == set()
    assert [one["id"] for one in full.people()] == ["1"]
    assert all(ids == set() for ids in empty.contents.values())
    assert empty.members is not None
    assert empty.people() == []


def test_missing_kind_is_read_where_grants_depend_on_it() -> None:
    """Distinguish a refused edge, which Meta leaves out, from an empty one
    (`docs/reference/graph-facts.md#field-expansion`).
    """
    (group,) = groups_from_rows([row("34", contained_pages={"data": [{"id": "70"}]})], PARTNER)
    (with_group_grants,) = groups_from_rows(
        [row("34", contained_pages={"data": [{"id": "70"}]})], PARTNER, {"ad_account"}
    )

    assert group.contents["ad_account"] == set()
    assert with_group_grants.contents["ad_account"] is None
    assert with_group_grants.contents["pixel"] == set()


@pytest.mark.parametrize(
    "people",
    [
        None,
        members_edge(group_member("1", "777")),
        {"data": [{"id": "1", "name": "Ada"}], "summary": {"total_count": 1}},
        {"data": [group_member("1")], "summary": {"total_count": 2}},
        {"data": [group_member("1")], "paging": {"cursors": {"after": "x"}, "next": "https://x"}},
        {"data": []},
        [],
    ],
    ids=["absent", "other business", "no business", "short", "more pages", "no count", "no edge"],
)
def test_incomplete_members_are_read_from_the_group(people: Any) -> None:
    nested = {} if people is None else {"assigned_users": people}

    (group,) = groups_from_rows([row(**CONTAINED, **nested)], PARTNER)

    assert group.members is None
    assert group.contents["pixel"] == set()


@pytest.mark.parametrize(
    ("nested", "unknown"),
    [
        ({}, {"ad_account", "page", "product_catalog", "pixel"}),
        (
            {
                **CONTAINED,
                "contained_pages": {
                    "data": [{"id": "70"}],
                    "paging": {"cursors": {"after": "x"}, "next": "https://x"},
                },
            },
            {"page"},
        ),
        ({**CONTAINED, "contained_pixels": "?"}, {"pixel"}),
    ],
    ids=["nothing at all", "more pages", "no edge"],
)
def test_contents_missing_from_every_row_are_unknown(
    nested: dict[str, Any], unknown: set[str]
) -> None:
    for group in groups_from_rows([row("33", **nested)] * 2, PARTNER):
        assert {kind for kind, ids in group.contents.items() if ids is None} == unknown


# Further reads


async def test_complete_groups_cost_no_further_request() -> None:
    """Ignore groups without shared assets."""
    other = row("34", contained_pixels={"data": [{"id": "50"}]})
    meta = Meta(reply([item({"data": [FULL, other]})]))

    found = await read_all(meta)

    assert (found.warnings, found.nested_refused) == ([], False)
    assert [group.node.meta_id for group in found.groups] == ["33"]
    assert found.assets == sorted(SHARED)
    assert [one.read.path for one in found.reads()] == ["1/assigned_business_asset_groups"]
    assert len(meta.requests) == 1


@pytest.mark.parametrize(
    ("failure", "is_stored"),
    [
        (refused_item(100, "(#100) Tried accessing nonexisting field"), True),
        (refused_item(200), True),
        (refused_item(99999), True),
        (refused_item(1, "Please reduce the amount of data you're asking for"), False),
    ],
)
async def test_groups_that_cannot_be_expanded_are_read_one_by_one(
    failure: dict[str, Any], is_stored: bool
) -> None:
    """Read the contents in one batch, then the members of groups with shared assets."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            with_contents = "contained" in str(request.url)
            return reply(json.loads(failure["body"]) if with_contents else groups, 200)
        return reply([answers.get(one, NOTHING) for one in requested_edges(meta)])

    groups = {"data": [row("33"), row("34")]}
    answers = {
        f"{PARTNER}/business_asset_groups": failure,
        "34/contained_pages": item(CONTAINED["contained_pages"]),
        "34/assigned_users": item(members_edge(group_member("1"))),
    }
    meta = Meta(answer)

    found = await read_all(meta)

    assert (found.warnings, found.nested_refused) == ([], is_stored)
    assert found.assets == [PAGE]
    assert list(found.members()) == ["1"]
    assert len(requested_edges(meta, -2)) == 2 * len(edges.CONTAINED)
    assert requested_edges(meta, -1) == ["34/assigned_users"]


@pytest.mark.parametrize(
    ("edge", "answers"),
    [
        ("business_asset_groups", (error(200),)),
        (
            "contained_pages",
            (reply({"data": [row()]}), reply([NOTHING, refused_item(200)] + [NOTHING] * 2)),
        ),
        (
            "assigned_users",
            (
                reply({"data": [row()]}),
                reply([item(CONTAINED["contained_adaccounts"]), *[NOTHING] * 3]),
                reply([refused_item(200)]),
            ),
        ),
    ],
)
async def test_refused_group_edge_is_a_warning_without_grants(
    edge: str, answers: tuple[Reply, ...]
) -> None:
    """Leave the job partial."""
    found = await read_all(Meta(reply([refused_item(200)]), *answers))

    assert [(code, named) for code, named, _ in found.warnings] == [("edge_refused", edge)]
    assert found.assets == []
    assert found.reads() == []


async def test_short_list_of_members_is_a_warning() -> None:
    """Keep the members that were listed."""
    short = {"data": [group_member("1")], "summary": {"total_count": 2}}
    group_alone = item({"data": [row(**CONTAINED)]})

    found = await read_all(Meta(reply([group_alone]), reply([item(short)])))

    assert [(code, edge) for code, edge, _ in found.warnings] == [
        ("edge_incomplete", "assigned_users")
    ]
    assert list(found.members()) == ["1"]


async def test_dead_token_ends_the_check() -> None:
    with pytest.raises(TokenDead):
        await read_all(Meta(reply([refused_item(190, error_subcode=463)])))


# Resulting tasks


def complete_group(number: str, people: tuple[str, ...], *assets: tuple[str, str]) -> Group:
    """Return a group whose contents and members are known."""
    node = AssetToRead("asset_group", number, f"Group {number}")
    contents: dict[str, set[str] | None] = {kind: set() for kind in edges.CONTAINED}
    for kind, meta_id in assets:
        known = contents[kind]
        assert known is not None
        known.add(meta_id)
    return Group(node, contents, AccessRead(node, [group_member(one) for one in people]))


async def read_tasks(groups: list[Group], **lists: Any) -> GroupsRead:
    """Read each member's own list of groups. An int stands for a refusal with that code."""
    found = GroupsRead(groups, sorted({asset for one in groups for asset in one.assets()}))
    answers = [lists[f"of_{user_id}"] for user_id in found.members()]
    items = [
        refused_item(answer) if isinstance(answer, int) else item({"data": answer})
        for answer in answers
    ]
    reader = Meta(reply(items)).client().reader(TOKEN)
    await reader.batch(found.reads())
    await read_memberships(reader, found)
    return found


async def test_tasks_of_several_groups_are_merged() -> None:
    """Use the tasks of each user's own list, and store nothing for a type without tasks."""
    found = await read_tasks(
        [complete_group("33", ("1", "2"), ACCOUNT, PAGE), complete_group("34", ("1",), ACCOUNT)],
        of_1=[
            {"id": "33", "adaccount_tasks": ["ANALYZE"], "page_tasks": []},
            {"id": "34", "adaccount_tasks": ["ADVERTISE", "ANALYZE"]},
            {"id": "35", "adaccount_tasks": ["MANAGE"]},
        ],
        of_2=[{"id": "33", "page_tasks": ["MODERATE"]}],
    )

    assert found.warnings == []
    assert tasks_on(ACCOUNT, found) == {"1": {"ADVERTISE", "ANALYZE"}}
    assert tasks_on(PAGE, found) == {"2": {"MODERATE"}}


async def test_access_without_listed_tasks_has_no_tasks() -> None:
    """Apply this to catalogs always, and to all types where Meta sends no tasks."""
    catalog = ("product_catalog", "30")
    found = await read_tasks(
        [complete_group("33", ("1",), catalog), complete_group("34", ("2",), PAGE)],
        of_1=[{"id": "33", "adaccount_tasks": []}],
        of_2=[{"id": "34"}],
    )

    assert tasks_on(catalog, found) == {"1": set()}
    assert tasks_on(PAGE, found) == {"2": set()}


async def test_user_with_unlisted_groups_keeps_known_tasks() -> None:
    """Avoid a change that would come from an incomplete list."""
    found = await read_tasks(
        [complete_group("33", ("1", "2", "3"), ACCOUNT), complete_group("34", ("2",), ACCOUNT)],
        of_1=200,
        of_2=[{"id": "33", "adaccount_tasks": ["ANALYZE"]}],
        of_3=[{"id": "33", "adaccount_tasks": ["ANALYZE"]}],
    )

    assert tasks_on(ACCOUNT, found) == {"3": {"ANALYZE"}}
    assert [(code, edge) for code, edge, _ in found.warnings] == [
        ("edge_refused", "assigned_business_asset_groups"),
        ("edge_incomplete", "assigned_business_asset_groups"),
    ]
    assert "Person 2 (2)" in found.warnings[1][2]


# Staged rows


async def test_restaged_group_access_replaces_previous_rows(database: Database) -> None:
    """Stage twice, then stage less. Direct access stays."""
    partner = await make_partner(database)
    async with database.writing() as session:
        job = SyncJob(
            workspace_id=partner.workspace_id,
            integration_id=partner.integration_id,
            partner_id=partner.partner_id,
            task="sync_partner",
            trigger="api",
        )
        session.add(job)
    assets = [SharedAsset(*ACCOUNT, "An account", OURS_TO_PARTNER, None)]
    direct = AccessRead(
        AssetToRead(*ACCOUNT, "An account"), [{**group_member("1"), "tasks": ["MANAGE"]}]
    )
    both = await read_tasks(
        [complete_group("33", ("1", "2"), ACCOUNT)],
        of_1=[{"id": "33", "adaccount_tasks": ["DRAFT", "ANALYZE"]}],
        of_2=[{"id": "33", "adaccount_tasks": ["MANAGE"]}],
    )
    one = await read_tasks(
        [complete_group("33", ("2",), ACCOUNT)], of_2=[{"id": "33", "adaccount_tasks": ["MANAGE"]}]
    )

    async def staged() -> list[tuple[str, str, list[str], bool]]:
        async with database.reading() as session:
            rows = await session.scalars(
                select(StagedGrant)
                .where(StagedGrant.job_id == job.id)
                .order_by(StagedGrant.via, StagedGrant.meta_user_id)
            )
            return [(row.meta_user_id, row.via, row.tasks, row.full_control) for row in rows]

    async with database.writing() as session:
        await stage_assets(session, job.id, 1, assets)
    for _ in range(2):
        async with database.writing() as session:
            await stage_group_access(session, job.id, both)
            await stage_access(session, job, [direct])
        assert await staged() == [
            ("1", "asset_group", ["ANALYZE", "DRAFT"], False),
            ("2", "asset_group", ["MANAGE"], True),
            ("1", "direct", ["MANAGE"], True),
        ]
    async with database.writing() as session:
        await stage_group_access(session, job.id, one)
    assert await staged() == [
        ("2", "asset_group", ["MANAGE"], True),
        ("1", "direct", ["MANAGE"], True),
    ]
    async with database.reading() as session:
        people = await session.scalars(select(StagedUser).where(StagedUser.job_id == job.id))
        assert {(one.meta_user_id, one.enriched) for one in people} == {("1", False), ("2", False)}
