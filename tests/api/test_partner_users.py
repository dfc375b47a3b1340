"""`/v1/partner-users`: the partners' users and their access."""

from typing import Any
from uuid import UUID

import httpx
import pytest

from partner_connector.db.engine import Database
from partner_connector.ids import encode, new_id
from tests.api import rows
from tests.api.conftest import SharedApi
from tests.api.rows import SEEN_AT
from tests.api.world import World


@pytest.fixture
async def people(database: Database, workspace_id: UUID) -> dict[str, str]:
    """Three people of two partners of two integrations, as the ids to filter by."""
    first, second = rows.integration(workspace_id), rows.integration(workspace_id)
    north, south = rows.partner(first), rows.partner(second)
    ada = rows.partner_user(
        north, name="Ada 50%", email="ada_1@example.com", role_class="admin", two_factor="on"
    )
    bob = rows.partner_user(
        north,
        name="Bob",
        email="adax1@example.com",
        kind="pending_invite",
        state="removed",
        removed_at=SEEN_AT,
    )
    robot = rows.partner_user(south, name="Robot", email=None, kind="system_user")
    assets = [rows.asset(first), rows.asset(second)]
    await rows.store(
        database,
        first,
        second,
        north,
        south,
        ada,
        bob,
        robot,
        *assets,
        rows.grant(assets[0], ada),
        rows.grant(assets[0], ada, via="asset_group"),
        rows.grant(assets[1], robot),
    )
    return {
        "partner_id": encode("ptn", south.id),
        "integration_id": encode("int", first.id),
        "asset_id": encode("ast", assets[0].id),
    }


async def names(api: httpx.AsyncClient, **params: Any) -> list[str]:
    """Return the names in a filtered list."""
    answer = await api.get("/v1/partner-users", params=params)
    assert answer.status_code == 200, answer.text
    return [item["name"] for item in answer.json()["items"]]


FILTERS: list[tuple[dict[str, Any], list[str]]] = [
    ({}, ["Ada 50%", "Bob", "Robot"]),
    ({"sort": "-name"}, ["Robot", "Bob", "Ada 50%"]),
    ({"kind": "person"}, ["Ada 50%"]),
    ({"kind": ["person", "system_user"]}, ["Ada 50%", "Robot"]),
    ({"state": "active"}, ["Ada 50%", "Robot"]),
    ({"state": "removed"}, ["Bob"]),
    ({"role_class": "admin"}, ["Ada 50%"]),
    ({"two_factor": "on"}, ["Ada 50%"]),
    ({"two_factor": ["on", "off"]}, ["Ada 50%"]),
    ({"email": "ADA_1@Example.com"}, ["Ada 50%"]),
    ({"email": "ada_1"}, []),
    ({"q": "ROB"}, ["Robot"]),
    ({"q": "%"}, ["Ada 50%"]),
    ({"q": "ada_1"}, ["Ada 50%"]),
    ({"q": "example.com"}, ["Ada 50%", "Bob"]),
]


async def test_filters_select_matching_users(
    api: httpx.AsyncClient, people: dict[str, str]
) -> None:
    """Expect several values to mean “or”, and `q` to have no wildcards."""
    assert people
    found = [(params, await names(api, **params)) for params, _ in FILTERS]
    assert found == FILTERS


async def test_filters_by_id_return_each_user_once(
    api: httpx.AsyncClient, people: dict[str, str]
) -> None:
    """Filter by a partner, an integration and an asset."""
    found = {name: await names(api, **{name: value}) for name, value in people.items()}
    assert found == {
        "partner_id": ["Robot"],
        "integration_id": ["Ada 50%", "Bob"],
        "asset_id": ["Ada 50%"],
    }


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("value", ["1", "robots", "", "Person"])
async def test_unknown_filter_value_is_refused(shared_api: SharedApi, value: str) -> None:
    """Expect 422 instead of an empty list."""
    answer = await shared_api.client.get("/v1/partner-users", params={"kind": value})
    assert answer.status_code == 422


async def test_expand_grants_adds_assets_and_tasks(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """Expect all other members to be unchanged."""
    without_grants = rows.partner_user(world.partner, name="Zoe", email=None)
    page = rows.asset(world.integration, type="page", name="Front page")
    await rows.store(
        database,
        without_grants,
        page,
        rows.grant(page, world.user, tasks=["MANAGE"], full_control=True, via="asset_group"),
    )
    plain = (await api.get("/v1/partner-users")).json()["items"]
    expanded = (await api.get("/v1/partner-users", params={"expand": "grants"})).json()["items"]
    assert [item["grants"] for item in plain] == [None, None]
    assert [{**item, "grants": None} for item in expanded] == plain
    assert expanded[1]["grants"] == []
    assert expanded[0]["grants"] == [
        {
            "asset": {
                "id": world.ids["ast"],
                "type": "ad_account",
                "meta_id": world.asset.meta_id,
                "name": "Spring campaign",
            },
            "tasks": ["ADVERTISE"],
            "full_control": False,
            "via": "direct",
            "granted_at": "2026-11-01T12:00:00.000Z",
        },
        {
            "asset": {
                "id": encode("ast", page.id),
                "type": "page",
                "meta_id": page.meta_id,
                "name": "Front page",
            },
            "tasks": ["MANAGE"],
            "full_control": True,
            "via": "asset_group",
            "granted_at": "2026-11-01T12:00:00.000Z",
        },
    ]
    one = (await api.get(f"/v1/partner-users/{world.ids['usr']}")).json()
    assert one == {**expanded[0], "history": one["history"]}


async def test_partner_user_has_its_changes_newest_first(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """Expect only changes of this user, and no history in the list."""
    about_ada: dict[str, Any] = {"partner_user_id": world.user.id}
    await rows.publish(
        database,
        rows.change(world.partner, kind="user_joined", partner_user_id=new_id()),
        rows.change(
            world.partner,
            kind="user_email_changed",
            before={"email": None},
            after={"email": "ada@example.com"},
            **about_ada,
        ),
        rows.change(world.partner, kind="user_left", before={"name": "Ada"}, **about_ada),
    )
    history = (await api.get(f"/v1/partner-users/{world.ids['usr']}")).json()["history"]
    assert [item["kind"] for item in history] == [
        "user_left",
        "user_email_changed",
        "partner_listed",
    ]
    assert history[1]["before"] == {"email": None}
    assert history[1]["after"] == {"email": "ada@example.com"}
    feed = (await api.get("/v1/changes")).json()["items"]
    assert history == [feed[3], feed[2], feed[0]]
    [listed] = (await api.get("/v1/partner-users")).json()["items"]
    assert listed["history"] is None


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_history_holds_the_latest_100_changes(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    changes = [rows.change(world.partner, partner_user_id=world.user.id) for _ in range(101)]
    await rows.publish(database, *changes)
    history = (await api.get(f"/v1/partner-users/{world.ids['usr']}")).json()["history"]
    assert [item["sequence"] for item in history] == list(range(102, 2, -1))


async def test_token_holder_is_the_system_user_of_the_active_token(
    api: httpx.AsyncClient, database: Database, workspace_id: UUID
) -> None:
    """Expect the flag in the list and in the single user.

    System users of other partners, of our own business and of earlier tokens have no flag.
    """
    integration = rows.integration(workspace_id)
    north, south = rows.partner(integration), rows.partner(integration)
    of_north = {"meta_user_id": "1001", "kind": "system_user"}
    system_users = [
        rows.partner_user(north, name="A, of the active token", **of_north),
        rows.partner_user(north, name="B, of an earlier token", meta_user_id="1002"),
        rows.partner_user(north, name="C, of our own", meta_user_id="1003"),
        rows.partner_user(south, name="D, the same id elsewhere", **of_north),
    ]
    await rows.store(
        database,
        integration,
        north,
        south,
        rows.token(north, system_user_id="1001", version=2),
        rows.token(north, system_user_id="1002", state="superseded"),
        rows.token(north, system_user_id="1003", partner_id=None),
        rows.token(south, system_user_id="1009"),
        *system_users,
    )
    items = (await api.get("/v1/partner-users")).json()["items"]
    assert [item["is_token_holder"] for item in items] == [True, False, False, False]
    for item in items:
        one = (await api.get(f"/v1/partner-users/{item['id']}")).json()
        assert one["is_token_holder"] == item["is_token_holder"]
    assert (await api.delete(f"/v1/partners/{encode('ptn', north.id)}/token")).status_code == 200
    items = (await api.get("/v1/partner-users")).json()["items"]
    assert not any(item["is_token_holder"] for item in items)
