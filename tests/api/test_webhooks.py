"""Webhook endpoints as their owners make and change them."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from partner_connector.db.engine import Database
from partner_connector.features.webhooks.repository import MOST_ENDPOINTS
from partner_connector.ids import encode
from partner_connector.sealing.public import PublicKeyring
from tests.api import rows
from tests.api.problems import assert_problem
from tests.api.world import World
from tests.support.clients import Tenant, client_of, make_tenant

ONLY_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

URL = "https://hooks.example.com/pc?customer=7"
GOOD: dict[str, Any] = {"url": URL, "event_types": ["partner.connected", "token.invalid"]}


@ONLY_SQLITE
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


@ONLY_SQLITE
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


@ONLY_SQLITE
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


async def test_a_workspace_has_so_many_endpoints(
    api: httpx.AsyncClient, database: Database, tenant: Tenant, app: FastAPI, keyring: PublicKeyring
) -> None:
    """Also when the last ones are made at once; those of others do not count, and a deleted one
    makes room.
    """
    workspace_id = cast("UUID", tenant.workspace_id)
    several = [rows.webhook_endpoint(workspace_id) for _ in range(MOST_ENDPOINTS - 2)]
    await rows.store(database, *several)
    made = await asyncio.gather(*(api.post("/v1/webhook-endpoints", json=GOOD) for _ in range(5)))
    assert sorted(each.status_code for each in made) == [201, 201, 409, 409, 409]
    for each in made:
        if each.status_code == 409:
            assert_problem(each, 409, "webhook_endpoint_limit")
    other = await make_tenant(database, keyring)
    async with client_of(app, other.api_key) as they:
        assert (await they.post("/v1/webhook-endpoints", json=GOOD)).status_code == 201
    gone = f"/v1/webhook-endpoints/{encode('whk', several[0].id)}"
    assert (await api.delete(gone)).status_code == 204
    assert (await api.post("/v1/webhook-endpoints", json=GOOD)).status_code == 201


async def test_a_long_time_is_sent_again_in_parts(
    api: httpx.AsyncClient, database: Database, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest first, each once, with the place to go on; and asked for again nothing is queued
    twice.
    """
    monkeypatch.setattr("partner_connector.features.webhooks.repository.REDELIVERED_AT_ONCE", 3)
    hook = rows.webhook_endpoint(world.partner.workspace_id)
    events = [rows.webhook_event(world.partner) for _ in range(8)]
    began = datetime(2026, 11, 20, tzinfo=UTC)
    # Two within one millisecond, at the end of the first part.
    after = [0, 10_000, 20_000, 30_100, 30_900, 40_000, 50_000, 60_000]
    sent = [
        rows.webhook_delivery(
            each, hook, status="delivered", created_at=began + timedelta(microseconds=later)
        )
        for each, later in zip(events, after, strict=True)
    ]
    await rows.store(database, hook, *events, *sent)
    path = f"/v1/webhook-endpoints/{encode('whk', hook.id)}"
    body = {"since_at": "2026-11-20T00:00:00Z", "include_delivered": True}
    answer = (await api.post(f"{path}/redeliver", json=body)).json()
    assert answer == {"redelivered": 5, "more_since_at": "2026-11-20T00:00:00.031Z"}
    pending = await api.get(f"{path}/deliveries", params={"status": "pending"})
    assert {each["id"] for each in pending.json()["items"]} == {
        encode("dlv", each.id) for each in sent[:5]
    }
    rest = body | {"since_at": answer["more_since_at"]}
    assert (await api.post(f"{path}/redeliver", json=rest)).json() == {
        "redelivered": 3,
        "more_since_at": None,
    }
    assert (await api.post(f"{path}/redeliver", json=body)).json() == {
        "redelivered": 0,
        "more_since_at": None,
    }
