"""Access through asset groups: what a row proves, what has to be asked, and what it all means."""

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
from tests.sync.checks import a_partner

PARTNER = "900"
ACCOUNT, PAGE = ("ad_account", "10"), ("page", "70")
SHARED = frozenset({ACCOUNT, PAGE})
CONTAINED: dict[str, Any] = {
    "contained_adaccounts": {"data": [{"id": "act_10"}, {"id": "act_11"}]},
    "contained_pages": {"data": [{"id": "70"}]},
}


def person(number: str, business: str = PARTNER) -> dict[str, Any]:
    """One row of a group's `assigned_users`."""
    return {"id": number, "name": f"Person {number}", "business": {"id": business}}


def members(*rows: dict[str, Any]) -> dict[str, Any]:
    """Who is in a group, with its count."""
    return {"data": list(rows), "summary": {"total_count": len(rows)}}


def row(number: str = "33", **nested: Any) -> dict[str, Any]:
    """One row of `business_asset_groups`."""
    return {"id": number, "name": f"Group {number}", **nested}


FULL = row(**CONTAINED, assigned_users=members(person("1")))


def item(content: dict[str, Any], code: int = 200) -> dict[str, Any]:
    """One answer of a batch."""
    return {"code": code, "body": json.dumps(content)}


def refused(code: int, message: str = "No", **more: Any) -> dict[str, Any]:
    """One refusal in a batch."""
    return item({"error": {"code": code, "message": message, **more}}, 400)


NOTHING = item({"data": []})


async def read(meta: Meta) -> GroupsRead:
    """The groups, where a batch brings the first answer about them."""
    reader = meta.client().reader(TOKEN)
    wanted = edges.business_asset_groups(PARTNER, with_contents=True)
    (first,) = await reader.batch([first_page(wanted)])
    return await read_groups(reader, first, PARTNER, SHARED)


def asked(meta: Meta, index: int = -1) -> list[str]:
    """The edges that one batch asked for."""
    return [one["relative_url"].partition("?")[0] for one in meta.operations(index)]


# What a row proves


def test_a_row_that_shows_all_is_believed() -> None:
    """What is left out is empty, in other rows too; an ad account goes by its number."""
    full, empty = groups_from_rows([FULL, row("34")], PARTNER)

    assert full.assets() == {*SHARED, ("ad_account", "11")}
    assert full.contents["pixel"] == set()
    assert [one["id"] for one in full.people()] == ["1"]
    assert all(ids == set() for ids in empty.contents.values())
    assert empty.members is not None
    assert empty.people() == []


def test_a_kind_that_no_row_shows_is_asked_for_where_access_is_at_stake() -> None:
    """An edge that Meta refuses is left out like an empty one (8.2 [O])."""
    (group,) = groups_from_rows([row("34", contained_pages={"data": [{"id": "70"}]})], PARTNER)
    (at_stake,) = groups_from_rows(
        [row("34", contained_pages={"data": [{"id": "70"}]})], PARTNER, {"ad_account"}
    )

    assert group.contents["ad_account"] == set()
    assert at_stake.contents["ad_account"] is None
    assert at_stake.contents["pixel"] == set()


@pytest.mark.parametrize(
    "people",
    [
        None,
        members(person("1", "777")),
        {"data": [{"id": "1", "name": "Nobody's"}], "summary": {"total_count": 1}},
        {"data": [person("1")], "summary": {"total_count": 2}},
        {"data": [person("1")], "paging": {"cursors": {"after": "x"}, "next": "https://x"}},
        {"data": []},
        [],
    ],
    ids=["absent", "another's", "no business", "counted", "more", "no count", "no edge"],
)
def test_members_are_believed_only_where_they_are_proven(people: Any) -> None:
    """Anything else sends us to the group itself."""
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
def test_contents_that_a_row_leaves_open_are_unknown(
    nested: dict[str, Any], unknown: set[str]
) -> None:
    """Where no row shows anything of its group nobody can say what Meta left out."""
    for group in groups_from_rows([row("33", **nested)] * 2, PARTNER):
        assert {kind for kind, ids in group.contents.items() if ids is None} == unknown


# What is asked


async def test_groups_that_are_told_at_once_cost_nothing_more() -> None:
    """And those that hold nothing shared concern nobody, whoever is in them."""
    other = row("34", contained_pixels={"data": [{"id": "50"}]})
    meta = Meta(reply([item({"data": [FULL, other]})]))

    found = await read(meta)

    assert (found.warnings, found.is_bare) == ([], False)
    assert [group.node.meta_id for group in found.groups] == ["33"]
    assert found.assets == sorted(SHARED)
    assert [one.read.path for one in found.reads()] == ["1/assigned_business_asset_groups"]
    assert len(meta.requests) == 1


@pytest.mark.parametrize(
    ("trouble", "is_remembered"),
    [
        (refused(100, "(#100) Tried accessing nonexisting field"), True),
        (refused(200), True),
        (refused(99999), True),
        (refused(1, "Please reduce the amount of data you're asking for"), False),
    ],
)
async def test_groups_that_cannot_be_expanded_are_asked_one_by_one(
    trouble: dict[str, Any], is_remembered: bool
) -> None:
    """What each holds in a batch, then in another who is in those that hold something shared."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            with_contents = "contained" in str(request.url)
            return reply(json.loads(trouble["body"]) if with_contents else groups, 200)
        return reply([answers.get(one, NOTHING) for one in asked(meta)])

    groups = {"data": [row("33"), row("34")]}
    answers = {
        f"{PARTNER}/business_asset_groups": trouble,
        "34/contained_pages": item(CONTAINED["contained_pages"]),
        "34/assigned_users": item(members(person("1"))),
    }
    meta = Meta(answer)

    found = await read(meta)

    assert (found.warnings, found.is_bare) == ([], is_remembered)
    assert found.assets == [PAGE]
    assert list(found.members()) == ["1"]
    assert len(asked(meta, -2)) == 2 * len(edges.CONTAINED)
    assert asked(meta, -1) == ["34/assigned_users"]


@pytest.mark.parametrize(
    ("edge", "answers"),
    [
        ("business_asset_groups", (error(200),)),
        (
            "contained_pages",
            (reply({"data": [row()]}), reply([NOTHING, refused(200)] + [NOTHING] * 2)),
        ),
        (
            "assigned_users",
            (
                reply({"data": [row()]}),
                reply([item(CONTAINED["contained_adaccounts"]), *[NOTHING] * 3]),
                reply([refused(200)]),
            ),
        ),
    ],
)
async def test_what_meta_refuses_of_groups_is_a_warning_and_no_grant(
    edge: str, answers: tuple[Reply, ...]
) -> None:
    """It is unknown: nobody is staged by it, and the job will be partial."""
    found = await read(Meta(reply([refused(200)]), *answers))

    assert [(code, named) for code, named, _ in found.warnings] == [("edge_refused", edge)]
    assert found.assets == []
    assert found.reads() == []


async def test_members_that_are_counted_and_not_shown_are_a_warning() -> None:
    """Those that were shown are in it all the same."""
    short = {"data": [person("1")], "summary": {"total_count": 2}}
    group_alone = item({"data": [row(**CONTAINED)]})

    found = await read(Meta(reply([group_alone]), reply([item(short)])))

    assert [(code, edge) for code, edge, _ in found.warnings] == [
        ("edge_incomplete", "assigned_users")
    ]
    assert list(found.members()) == ["1"]


async def test_a_dead_token_is_no_refusal_of_groups() -> None:
    """It ends the check."""
    with pytest.raises(TokenDead):
        await read(Meta(reply([refused(190, error_subcode=463)])))


# What it means


def group(number: str, people: tuple[str, ...], *assets: tuple[str, str]) -> Group:
    """A group of which everything is known."""
    node = AssetToRead("asset_group", number, f"Group {number}")
    contents: dict[str, set[str] | None] = {kind: set() for kind in edges.CONTAINED}
    for kind, meta_id in assets:
        known = contents[kind]
        assert known is not None
        known.add(meta_id)
    return Group(node, contents, AccessRead(node, [person(one) for one in people]))


async def told(groups: list[Group], **lists: Any) -> GroupsRead:
    """The groups with what each member's own list says; an int is the code of a refusal."""
    found = GroupsRead(groups, sorted({asset for one in groups for asset in one.assets()}))
    answers = [lists[f"of_{user_id}"] for user_id in found.members()]
    items = [
        refused(answer) if isinstance(answer, int) else item({"data": answer}) for answer in answers
    ]
    reader = Meta(reply(items)).client().reader(TOKEN)
    await reader.batch(found.reads())
    await read_memberships(reader, found)
    return found


async def test_tasks_of_several_groups_are_put_together() -> None:
    """Each person by the tasks of its own list; nothing for a type without tasks."""
    found = await told(
        [group("33", ("1", "2"), ACCOUNT, PAGE), group("34", ("1",), ACCOUNT)],
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


async def test_tasks_that_nothing_tells_are_none_and_access_all_the_same() -> None:
    """Of catalogs always, and of all where Meta sends no tasks."""
    catalog = ("product_catalog", "30")
    found = await told(
        [group("33", ("1",), catalog), group("34", ("2",), PAGE)],
        of_1=[{"id": "33", "adaccount_tasks": []}],
        of_2=[{"id": "34"}],
    )

    assert tasks_on(catalog, found) == {"1": set()}
    assert tasks_on(PAGE, found) == {"2": set()}


async def test_whose_groups_are_not_all_told_is_left_as_known() -> None:
    """Less than all of somebody's tasks would be a change that nobody made."""
    found = await told(
        [group("33", ("1", "2", "3"), ACCOUNT), group("34", ("2",), ACCOUNT)],
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


# What is written


async def test_staged_again_only_what_is_true_now_is_left(database: Database) -> None:
    """A step that is repeated, and an attempt that finds less; direct access is not touched."""
    partner = await a_partner(database)
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
    direct = AccessRead(AssetToRead(*ACCOUNT, "An account"), [{**person("1"), "tasks": ["MANAGE"]}])
    both = await told(
        [group("33", ("1", "2"), ACCOUNT)],
        of_1=[{"id": "33", "adaccount_tasks": ["DRAFT", "ANALYZE"]}],
        of_2=[{"id": "33", "adaccount_tasks": ["MANAGE"]}],
    )
    one = await told(
        [group("33", ("2",), ACCOUNT)], of_2=[{"id": "33", "adaccount_tasks": ["MANAGE"]}]
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
