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
    """Return the names in a filtered list."""
    answer = await api.get("/v1/partners", params=params)
    assert answer.status_code == 200, answer.text
    return [item["name"] for item in answer.json()["items"]]


@pytest.fixture
async def partners(database: Database, workspace_id: UUID) -> dict[str, str]:
    """Four partners of two integrations, as the integrations' ids."""
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


async def test_filters_select_matching_partners(
    api: httpx.AsyncClient, partners: dict[str, str]
) -> None:
    """Expect several values to mean “or”, and `q` to have no wildcards."""
    assert partners
    found = [(params, set(await names(api, **params))) for params, _ in FILTERS]
    assert found == FILTERS


async def test_filter_by_integration_selects_its_partners(
    api: httpx.AsyncClient, partners: dict[str, str]
) -> None:
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


async def test_onboarding_status_follows_health_of_active_token(
    api: httpx.AsyncClient, database: Database, workspace_id: UUID
) -> None:
    """Compare the partner, the list, the checklist and the token."""
    integration = rows.integration(workspace_id)
    await rows.store(database, integration)
    for health, status in STATUS_BY_HEALTH.items():
        partner = rows.partner(integration, name=health)
        await rows.store(database, partner, rows.token(partner, health=health))
        path = f"/v1/partners/{encode('ptn', partner.id)}"
        one = (await api.get(path)).json()
        [listed] = (await api.get("/v1/partners", params={"q": health})).json()["items"]
        checklist = (await api.get(f"{path}/onboarding")).json()
        assert one["onboarding_status"] == status, health
        assert listed == one
        assert checklist["onboarding_status"] == status
        assert (await api.get(f"{path}/token")).json()["health"] == health


async def test_onboarding_status_has_a_label(api: httpx.AsyncClient, world: World) -> None:
    """Expect a label for people beside the machine's value."""
    partner = (await api.get(f"/v1/partners/{world.ids['ptn']}")).json()
    assert partner["onboarding_status_label"] == "Onboarded"


async def test_shared_asset_has_direction_tasks_and_user_count(
    api: httpx.AsyncClient, world: World
) -> None:
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


async def test_asset_user_count_is_of_the_partner(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """Share one asset with two partners; each count is of the partner's own users."""
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


async def test_checklist_of_a_new_partner_is_unknown_or_to_do(
    api: httpx.AsyncClient, database: Database, workspace_id: UUID
) -> None:
    """Expect a next action for every open step."""
    integration = rows.integration(workspace_id)
    partner = rows.partner(integration)
    await rows.store(database, integration, partner)
    checklist = (await api.get(f"/v1/partners/{encode('ptn', partner.id)}/onboarding")).json()
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


def check_result(check_id: str, status: str) -> dict[str, Any]:
    """Return the result of one check of a token validation."""
    remedy = None if status == "pass" else f"fix {check_id}"
    return {"id": check_id, "status": status, "code": "x", "detail": check_id, "remedy": remedy}


async def test_checklist_shows_checks_of_newest_completed_validation(
    api: httpx.AsyncClient, database: Database, workspace_id: UUID
) -> None:
    """Expect each step to be done, to do or unknown, with the check's remedy."""
    integration = rows.integration(workspace_id)
    partner = rows.partner(integration)
    candidate = rows.token(partner, state="candidate")
    checks = [
        check_result("app", "pass"),
        check_result("system_user_role", "fail"),
        check_result("assets_full_control", "unknown"),
        check_result("live", "pass"),
        check_result("expiry", "warn"),
    ]
    older = rows.validation(candidate, checks=[check_result("app", "fail")])
    newest = rows.validation(candidate, checks=checks)
    running = rows.validation(candidate, status="running", verdict=None)
    await rows.store(database, integration, partner, candidate, older, newest, running)
    steps = (await api.get(f"/v1/partners/{encode('ptn', partner.id)}/onboarding")).json()["steps"]
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
    assert steps[1]["next_action"] == "fix system_user_role"
    assert steps[1]["evidence"] == "system_user_role"
