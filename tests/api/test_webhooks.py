"""Webhook endpoints: created, changed, redelivered and audited."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from partner_connector.db.engine import Database
from partner_connector.features.webhooks.repository import MAX_ENDPOINTS
from partner_connector.ids import encode
from partner_connector.sealing.public import PublicKeyring
from tests.api import rows
from tests.api.problems import assert_problem
from tests.api.world import World
from tests.support.clients import Tenant, client_of, make_tenant

ONLY_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

URL = "https://hooks.example.com/pc?customer=7"
VALID_BODY: dict[str, Any] = {"url": URL, "event_types": ["partner.connected", "token.invalid"]}


@ONLY_SQLITE
@pytest.mark.parametrize(
    "url",
    ["http://hooks.example.com/", "https://127.0.0.1/", "https://intranet/", "http://127.0.0.1/"],
)
async def test_refused_url_fails_creation_and_update(
    api: httpx.AsyncClient, world: World, url: str
) -> None:
    created = await api.post("/v1/webhook-endpoints", json=VALID_BODY | {"url": url})
    assert_problem(created, 422, "webhook_url_refused")
    path = f"/v1/webhook-endpoints/{world.ids['whk']}"
    before = (await api.get(path)).json()
    assert_problem(await api.patch(path, json={"url": url}), 422, "webhook_url_refused")
    assert (await api.get(path)).json() == before


@ONLY_SQLITE
@pytest.mark.parametrize(
    "invalid",
    [
        {"event_types": []},
        {"event_types": ["partner.renamed"]},
        {"event_types": ["webhook_endpoint.test"]},
        {"event_types": "partner.connected"},
        {"description": ""},
        {"signing_secret": "whsec_of-my-own"},
    ],
)
async def test_invalid_body_is_refused(api: httpx.AsyncClient, invalid: dict[str, Any]) -> None:
    """Send unknown event types, no event type, and a signing secret of the caller's own."""
    created = await api.post("/v1/webhook-endpoints", json=VALID_BODY | invalid)
    assert_problem(created, 422, "validation_failed")


@ONLY_SQLITE
async def test_each_change_is_audited_with_host_only(api: httpx.AsyncClient, world: World) -> None:
    """Expect no path or query in the audit event: they may be a secret of the customer."""
    repeated_types = [*VALID_BODY["event_types"], VALID_BODY["event_types"][0]]
    created = await api.post(
        "/v1/webhook-endpoints", json=VALID_BODY | {"event_types": repeated_types}
    )
    assert created.json()["event_types"] == VALID_BODY["event_types"]
    path = created.headers["Location"]
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


async def test_endpoint_limit_holds_for_concurrent_creation(
    api: httpx.AsyncClient, database: Database, tenant: Tenant, app: FastAPI, keyring: PublicKeyring
) -> None:
    """Expect other workspaces not to count and a deleted endpoint to make room."""
    workspace_id = cast("UUID", tenant.workspace_id)
    endpoints = [rows.webhook_endpoint(workspace_id) for _ in range(MAX_ENDPOINTS - 2)]
    await rows.store(database, *endpoints)
    created = await asyncio.gather(
        *(api.post("/v1/webhook-endpoints", json=VALID_BODY) for _ in range(5))
    )
    assert sorted(each.status_code for each in created) == [201, 201, 409, 409, 409]
    for each in created:
        if each.status_code == 409:
            assert_problem(each, 409, "webhook_endpoint_limit")
    other = await make_tenant(database, keyring)
    async with client_of(app, other.api_key) as client:
        assert (await client.post("/v1/webhook-endpoints", json=VALID_BODY)).status_code == 201
    deleted_path = f"/v1/webhook-endpoints/{encode('whk', endpoints[0].id)}"
    assert (await api.delete(deleted_path)).status_code == 204
    assert (await api.post("/v1/webhook-endpoints", json=VALID_BODY)).status_code == 201


async def test_redelivery_of_a_long_range_comes_in_parts(
    api: httpx.AsyncClient, database: Database, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Expect the oldest first, each once, and the start of the next part.

    A repeated request queues nothing twice.
    """
    monkeypatch.setattr("partner_connector.features.webhooks.repository.MAX_REDELIVERIES", 3)
    hook = rows.webhook_endpoint(world.partner.workspace_id)
    events = [rows.webhook_event(world.partner) for _ in range(8)]
    range_start = datetime(2026, 11, 20, tzinfo=UTC)
    # Two deliveries share one millisecond at the end of the first part.
    offsets = [0, 10_000, 20_000, 30_100, 30_900, 40_000, 50_000, 60_000]
    sent = [
        rows.webhook_delivery(
            each, hook, status="delivered", created_at=range_start + timedelta(microseconds=offset)
        )
        for each, offset in zip(events, offsets, strict=True)
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
