"""`/v1/partners`: filters, the derived status, assets and the checklist."""

from typing import Any
from uuid import UUID

import httpx
import pytest

from partner_connector.db.engine import Database
from partner_connector.ids import encode
from tests.api import rows
from tests.api.world import World


async def names(api: httpx.AsyncClient, **params: Any) -> list[str]:
    """The names that a filtered list answers."""
    answer = await api.get("/v1/partners", params=params)
    assert answer.status_code == 200, answer.text
    return [item["name"] for item in answer.json()["items"]]


@pytest.fixture
async def partners(database: Database, workspace_id: UUID) -> dict[str, str]:
    """Four partners of two integrations. Answers the ids of the integrations."""
    first, second = rows.integration(workspace_id), rows.integration(workspace_id)
    pending = rows.partner(first, name="100% Pending", relationship="agency")
    onboarded = rows.partner(first, name="Onboarded_Ltd", relationship="client")
    broken = rows.partner(first, name="Onboarded Ltd", relationship="both")
    gone = rows.partner(second, name="Gone \\ Inc", presence="no_longer_shared")
    await rows.store(
        database,
        first,
        second,
        pending,
        onboarded,
        broken,
        gone,
        rows.token(onboarded),
        rows.token(broken, health="expired"),
        rows.token(pending, state="candidate"),
        rows.token(pending, version=2, state="revoked"),
    )
    return {"first": encode("int", first.id), "second": encode("int", second.id)}


FILTERS: list[tuple[dict[str, Any], set[str]]] = [
    ({"onboarding_status": "pending_onboarding"}, {"100% Pending", "Gone \\ Inc"}),
    ({"onboarding_status": "onboarded"}, {"Onboarded_Ltd"}),
    ({"onboarding_status": "needs_attention"}, {"Onboarded Ltd"}),
    (
        {"onboarding_status": ["onboarded", "needs_attention"]},
        {"Onboarded_Ltd", "Onboarded Ltd"},
    ),
    ({"presence": "no_longer_shared"}, {"Gone \\ Inc"}),
    ({"relationship": "client"}, {"Onboarded_Ltd"}),
    ({"relationship": ["client", "both"]}, {"Onboarded_Ltd", "Onboarded Ltd"}),
    ({"relationship": "client", "presence": "no_longer_shared"}, set()),
    ({"q": "onboarded"}, {"Onboarded_Ltd", "Onboarded Ltd"}),
    ({"q": "D_L"}, {"Onboarded_Ltd"}),
    ({"q": "%"}, {"100% Pending"}),
    ({"q": "_"}, {"Onboarded_Ltd"}),
    ({"q": "\\"}, {"Gone \\ Inc"}),
    ({"q": "/"}, set()),
]


async def test_filters(api: httpx.AsyncClient, partners: dict[str, str]) -> None:
    """Each filter keeps what it names; several values mean “or”; `q` takes no wildcards."""
    assert partners
    found = [(params, set(await names(api, **params))) for params, _ in FILTERS]
    assert found == FILTERS


async def test_filter_by_integration(api: httpx.AsyncClient, partners: dict[str, str]) -> None:
    """Partners of one integration only."""
    assert await names(api, integration_id=partners["second"]) == ["Gone \\ Inc"]


STATUS_BY_HEALTH = {
    "healthy": "onboarded",
    "expiring": "onboarded",
    "unknown": "onboarded",
    "expired": "needs_attention",
    "invalid": "needs_attention",
    "insufficient": "needs_attention",
    "unreadable": "needs_attention",
}


async def test_the_status_follows_the_active_token(
    api: httpx.AsyncClient, database: Database, workspace_id: UUID
) -> None:
    """The onboarding status is read off the active token, in every place that shows it."""
    ours = rows.integration(workspace_id)
    await rows.store(database, ours)
    for health, status in STATUS_BY_HEALTH.items():
        theirs = rows.partner(ours, name=health)
        await rows.store(database, theirs, rows.token(theirs, health=health))
        path = f"/v1/partners/{encode('ptn', theirs.id)}"
        one = (await api.get(path)).json()
        [listed] = (await api.get("/v1/partners", params={"q": health})).json()["items"]
        checklist = (await api.get(f"{path}/onboarding")).json()
        assert one["onboarding_status"] == status, health
        assert listed == one
        assert checklist["onboarding_status"] == status
        assert (await api.get(f"{path}/token")).json()["health"] == health


async def test_labels_carry_the_products_name(api: httpx.AsyncClient, world: World) -> None:
    """Words for people come beside the machine's value."""
    partner = (await api.get(f"/v1/partners/{world.ids['ptn']}")).json()
    assert partner["onboarding_status_label"] == "Onboarded"


async def test_assets(api: httpx.AsyncClient, world: World) -> None:
    """A shared asset comes with its direction, its tasks and the partner's people on it."""
    answer = await api.get(f"/v1/partners/{world.ids['ptn']}/assets")
    assert answer.json()["items"] == [
        {
            "id": world.ids["ast"],
            "type": "ad_account",
            "meta_id": world.asset.meta_id,
            "name": "Spring campaign",
            "direction": "ours_shared_to_partner",
            "permitted_tasks": ["ADVERTISE"],
            "user_count": 1,
        }
    ]


async def test_an_assets_people_are_those_of_the_partner(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """Of an asset that two partners share, each sees the number of its own people."""
    other = rows.partner(world.integration)
    people = [rows.partner_user(other) for _ in range(2)]
    await rows.store(
        database,
        other,
        rows.share(world.asset, other),
        *people,
        *(rows.grant(world.asset, person) for person in people),
        rows.grant(world.asset, people[0], via="asset_group"),
    )
    for partner_id, count in ((world.ids["ptn"], 1), (encode("ptn", other.id), 2)):
        [item] = (await api.get(f"/v1/partners/{partner_id}/assets")).json()["items"]
        assert item["user_count"] == count


async def test_the_checklist_of_a_partner_that_nothing_is_known_of(
    api: httpx.AsyncClient, database: Database, workspace_id: UUID
) -> None:
    """What nobody looked at is unknown, and every open step says what to do."""
    ours = rows.integration(workspace_id)
    theirs = rows.partner(ours)
    await rows.store(database, ours, theirs)
    checklist = (await api.get(f"/v1/partners/{encode('ptn', theirs.id)}/onboarding")).json()
    assert [(step["id"], step["status"]) for step in checklist["steps"]] == [
        ("app_access", "unknown"),
        ("system_user_admin", "unknown"),
        ("assets_assigned", "unknown"),
        ("token_generated", "unknown"),
        ("token_handed_over", "to_do"),
        ("connected", "to_do"),
        ("first_sync", "to_do"),
    ]
    assert all(step["next_action"] for step in checklist["steps"][:6])
    assert "2965389650414399" in checklist["steps"][0]["next_action"]


def check(check_id: str, status: str) -> dict[str, Any]:
    """One result of a proof."""
    remedy = None if status == "pass" else f"mend {check_id}"
    return {"id": check_id, "status": status, "code": "x", "detail": check_id, "remedy": remedy}


async def test_the_checklist_shows_the_evidence(
    api: httpx.AsyncClient, database: Database, workspace_id: UUID
) -> None:
    """A step is done, to do or unknown as the newest completed proof says, with its remedy."""
    ours = rows.integration(workspace_id)
    theirs = rows.partner(ours)
    candidate = rows.token(theirs, state="candidate")
    checks = [
        check("app", "pass"),
        check("system_user_role", "fail"),
        check("assets_full_control", "unknown"),
        check("live", "pass"),
        check("expiry", "warn"),
    ]
    older = rows.validation(candidate, checks=[check("app", "fail")])
    newest = rows.validation(candidate, checks=checks)
    running = rows.validation(candidate, status="running", verdict=None)
    await rows.store(database, ours, theirs, candidate, older, newest, running)
    steps = (await api.get(f"/v1/partners/{encode('ptn', theirs.id)}/onboarding")).json()["steps"]
    assert [step["status"] for step in steps] == [
        "done",
        "to_do",
        "unknown",
        "done",
        "done",
        "to_do",
        "to_do",
    ]
    assert steps[0]["next_action"] is None
    assert steps[1]["next_action"] == "mend system_user_role"
    assert steps[1]["evidence"] == "system_user_role"
