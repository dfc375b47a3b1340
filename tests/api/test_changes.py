"""The change feed (`/v1/changes`), read by sequence or by cursor."""

from typing import Any

import httpx
import pytest

from partner_connector.db.engine import Database
from partner_connector.ids import encode, new_id
from tests.api import rows
from tests.api.conftest import SharedApi
from tests.api.world import World
from tests.support.clients import Tenant

FACTS: dict[str, Any] = {
    "meta_user_id": "1029384756102938",
    "kind": "person",
    "name": "Ada Example",
    "email": None,
    "title": None,
    "role": "EMPLOYEE",
    "role_class": "employee",
    "two_factor": "unknown",
    "finance_permission": None,
}
GRANT: dict[str, Any] = {"via": "direct", "tasks": ["ANALYZE"], "full_control": False}
SHARE: dict[str, Any] = {
    "type": "page",
    "meta_id": "10203040",
    "name": "Front page",
    "direction": "ours_shared_to_partner",
    "permitted_tasks": None,
}


async def test_change_is_returned_as_it_was_stored(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """Check that every member is present. `before` and `after` hold exactly the stored facts:
    a fact that became null is null, and an unchanged fact is absent.
    """
    job_id, user_id, asset_id = new_id(), new_id(), new_id()
    about: dict[str, Any] = {"job_id": job_id, "partner_user_id": user_id}
    await rows.publish(
        database,
        rows.change(world.partner, kind="user_joined", after=FACTS, **about),
        rows.change(
            world.partner,
            kind="user_name_changed",
            before={"name": "Ada", "title": "Lead"},
            after={"name": "Ada Example", "title": None},
            **about,
        ),
        rows.change(
            world.partner,
            kind="access_revoked",
            asset_id=asset_id,
            before=GRANT,
            after=None,
            **about,
        ),
        rows.change(
            world.partner, kind="asset_shared", asset_id=asset_id, after=SHARE, job_id=job_id
        ),
        rows.change(world.partner, kind="of_tomorrow", after={"mood": {"is": "good"}}),
    )
    first, joined, renamed, revoked, shared, unknown = (await api.get("/v1/changes")).json()[
        "items"
    ]
    assert (first["sequence"], first["kind"]) == (1, "partner_listed")
    assert joined == {
        "sequence": 2,
        "kind": "user_joined",
        "occurred_at": "2026-11-01T12:00:00.000Z",
        "partner_id": world.ids["ptn"],
        "partner_user_id": encode("usr", user_id),
        "asset_id": None,
        "before": None,
        "after": FACTS,
        "job_id": encode("job", job_id),
    }
    assert renamed["before"] == {"name": "Ada", "title": "Lead"}
    assert renamed["after"] == {"name": "Ada Example", "title": None}
    assert (revoked["before"], revoked["after"]) == (GRANT, None)
    assert revoked["asset_id"] == encode("ast", asset_id)
    assert (shared["partner_user_id"], shared["after"]) == (None, SHARE)
    assert unknown["after"] == {"mood": {"is": "good"}}


async def test_after_returns_later_changes_only(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """Page by `after` to the end of the feed, past the end, and on after a new change."""
    await rows.publish(database, *(rows.change(world.partner) for _ in range(4)))

    async def sequences(**params: Any) -> list[int]:
        items = (await api.get("/v1/changes", params=params)).json()["items"]
        return [item["sequence"] for item in items]

    assert await sequences() == [1, 2, 3, 4, 5]
    assert await sequences(after=0, page_size=2) == [1, 2]
    assert await sequences(after=2, page_size=2) == [3, 4]
    assert await sequences(after=4, page_size=2) == [5]
    assert await sequences(after=5) == []
    assert await sequences(after=2**53 - 1) == []
    await rows.publish(database, rows.change(world.partner))
    assert await sequences(after=5) == [6]


async def test_changes_published_during_paging_come_last(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """Page by cursor while the feed grows: each change comes once and in order."""
    await rows.publish(database, *(rows.change(world.partner) for _ in range(2)))
    seen = []
    params: dict[str, Any] = {"after": 1, "page_size": 1}
    while True:
        answer = await api.get("/v1/changes", params=params)
        page = answer.json()
        seen += [item["sequence"] for item in page["items"]]
        assert ("link" in answer.headers) == (page["next_cursor"] is not None)
        if page["next_cursor"] is None:
            break
        params["cursor"] = page["next_cursor"]
        if len(seen) == 1:
            await rows.publish(database, *(rows.change(world.partner) for _ in range(2)))
    assert seen == [2, 3, 4, 5]


async def test_filters_narrow_the_feed(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """Combine filters: several `kind` values mean “or”; all parameters together mean “and”."""
    other = rows.partner(world.integration)
    await rows.store(database, other)
    await rows.publish(
        database,
        rows.change(other),
        rows.change(other, kind="user_left"),
        rows.change(world.partner, kind="user_joined"),
    )
    expected: list[tuple[dict[str, Any], list[int]]] = [
        ({"kind": "user_left"}, [3]),
        ({"kind": ["user_left", "user_joined"]}, [3, 4]),
        ({"kind": "access_granted"}, []),
        ({"partner_id": encode("ptn", other.id)}, [2, 3]),
        ({"partner_id": encode("ptn", other.id), "kind": "user_left"}, [3]),
        ({"partner_id": encode("ptn", other.id), "after": 2}, [3]),
    ]
    found = []
    for params, _ in expected:
        items = (await api.get("/v1/changes", params=params)).json()["items"]
        found.append((params, [item["sequence"] for item in items]))
    assert found == expected


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_each_workspace_has_its_own_feed(
    api: httpx.AsyncClient, database: Database, world: World, other_tenant: Tenant
) -> None:
    """Publish in another workspace: its changes do not appear in this workspace's feed."""
    integration = rows.integration(other_tenant.workspace_id)  # type: ignore[arg-type]
    partner = rows.partner(integration)
    await rows.store(database, integration, partner)
    await rows.publish(database, rows.change(partner), rows.change(partner))
    items = (await api.get("/v1/changes")).json()["items"]
    assert [item["partner_id"] for item in items] == [world.ids["ptn"]]


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize(
    "params", [{"after": "-1"}, {"after": "x"}, {"after": str(2**53)}, {"kind": "user_gone"}]
)
async def test_invalid_parameters_are_refused(
    shared_api: SharedApi, params: dict[str, str]
) -> None:
    """Refuse an impossible sequence or an unknown kind instead of returning an empty list."""
    assert (await shared_api.client.get("/v1/changes", params=params)).status_code == 422
