"""Webhook endpoints as their owners make and change them."""

from typing import Any

import httpx
import pytest

from tests.api.problems import assert_problem
from tests.api.world import World

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

URL = "https://hooks.example.com/pc?customer=7"
GOOD: dict[str, Any] = {"url": URL, "event_types": ["partner.connected", "token.invalid"]}


@pytest.mark.parametrize(
    "url",
    ["http://hooks.example.com/", "https://127.0.0.1/", "https://intranet/", "http://127.0.0.1/"],
)
async def test_a_url_that_is_refused(api: httpx.AsyncClient, world: World, url: str) -> None:
    """Neither when an endpoint is made nor when it is changed."""
    made = await api.post("/v1/webhook-endpoints", json=GOOD | {"url": url})
    assert_problem(made, 422, "webhook_url_refused")
    path = f"/v1/webhook-endpoints/{world.ids['whk']}"
    before = (await api.get(path)).json()
    assert_problem(await api.patch(path, json={"url": url}), 422, "webhook_url_refused")
    assert (await api.get(path)).json() == before


@pytest.mark.parametrize(
    "wrong",
    [
        {"event_types": []},
        {"event_types": ["partner.renamed"]},
        {"event_types": ["webhook_endpoint.test"]},
        {"event_types": "partner.connected"},
        {"description": ""},
        {"signing_secret": "whsec_of-my-own"},
    ],
)
async def test_a_body_that_is_refused(api: httpx.AsyncClient, wrong: dict[str, Any]) -> None:
    """Types that nobody sends, none at all, and a secret of one's own."""
    made = await api.post("/v1/webhook-endpoints", json=GOOD | wrong)
    assert_problem(made, 422, "validation_failed")


async def test_what_is_done_is_on_record(api: httpx.AsyncClient, world: World) -> None:
    """Each decision, by the host alone: the rest of a URL may be a secret of the customer's."""
    twice = [*GOOD["event_types"], GOOD["event_types"][0]]
    made = await api.post("/v1/webhook-endpoints", json=GOOD | {"event_types": twice})
    assert made.json()["event_types"] == GOOD["event_types"]
    path = made.headers["Location"]
    assert (await api.patch(path, json={"description": "reviews"})).status_code == 200
    assert (await api.post(f"{path}/rotate-secret")).status_code == 200
    body = {"since_at": "2026-01-01T00:00:00Z"}
    assert (await api.post(f"{path}/redeliver", json=body)).status_code == 200
    delivery = f"/v1/webhook-deliveries/{world.ids['dlv']}"
    assert (await api.post(f"{delivery}/redeliver")).status_code == 202
    assert (await api.delete(path)).status_code == 204
    assert_problem(await api.get(path), 404, "not_found")
    recorded = await api.get("/v1/audit-events", params={"page_size": 6})
    assert [each["action"] for each in recorded.json()["items"]] == [
        "webhook_endpoint.deleted",
        "webhook_delivery.redelivered",
        "webhook_endpoint.redelivered",
        "webhook_endpoint.secret_rotated",
        "webhook_endpoint.updated",
        "webhook_endpoint.created",
    ]
    assert "hooks.example.com" in recorded.text
    assert "customer=7" not in recorded.text
    assert "whsec_" not in recorded.text
