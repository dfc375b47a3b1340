"""Failures and logs repeat nothing that a caller sent."""

import io
import logging
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from partner_connector.db.engine import Database
from partner_connector.sealing.public import PublicKeyring
from partner_connector.settings import Settings
from tests.api.surface import OPERATIONS, TOKEN, Operation, body_for, credential
from tests.api.world import make_world
from tests.support.clients import Tenant

# Answers and logs do not depend on the database; test_database covers the database's errors.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

CANARY = "Canary.d41d8c/secret value"
TOKEN_CANARY = "EAAcanary0000000000000000000000000000"


@pytest.fixture
async def app(logs: io.StringIO, app: FastAPI) -> FastAPI:
    """The API, started after logging was routed to the test."""
    assert logs.writable()
    return app


def canary_places(operation: Operation) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each place of an operation for a canary: its name, and the request's parts."""
    body = body_for(operation)
    for parameter in operation.parameters:
        if parameter["in"] == "query":
            yield parameter["name"], {"params": {parameter["name"]: CANARY}}
        if parameter["in"] == "header":
            yield parameter["name"], {"headers": {parameter["name"]: CANARY}}
    yield "unknown parameter", {"params": {CANARY: CANARY}}
    for header in ("X-Request-Id", "Authorization", "traceparent", "X-Whatever", "Cookie"):
        yield header, {"headers": {header: CANARY}}
    if operation.body is None:
        return
    for name in operation.body.get("properties", {}):
        for planted in (CANARY, [CANARY], {CANARY: CANARY}, {"frequency": CANARY}):
            yield name, {"json": {**(body or {}), name: planted}}
    yield "unknown member", {"json": {**(body or {}), CANARY: CANARY}}
    yield "whole body", {"json": CANARY}
    yield "cut body", {"content": f'{{"{CANARY}'.encode()}
    yield "body as text", {"content": CANARY.encode(), "headers": {"Content-Type": "text/plain"}}


async def test_no_failure_and_no_log_repeats_a_canary(
    api: httpx.AsyncClient,
    database: Database,
    tenant: Tenant,
    keyring: PublicKeyring,
    logs: io.StringIO,
) -> None:
    echoes = []
    requests_sent = 0
    for operation in OPERATIONS:
        world = await make_world(database, tenant.workspace_id, keyring)  # type: ignore[arg-type]
        for place, parts in canary_places(operation):
            requests_sent += 1
            headers = {"Content-Type": "application/json"} | credential(operation, world.ids)
            headers |= parts.pop("headers", {})
            answer = await api.request(
                operation.method, operation.url(world.ids), headers=headers, **parts
            )
            if "content" not in parts and "json" not in parts:
                assert answer.status_code != 500, (operation.name, place)
            if answer.is_success:
                # `Link` repeats the address of this request, with a cursor.
                answer.headers.pop("link", None)
            answered = answer.text + repr(answer.headers)
            # A name, note or description may come back in the resource that it was stored in.
            is_resource = answer.is_success and place in {"name", "note", "description"}
            if not is_resource and ("Canary" in answered or "d41d8c" in answered):
                echoes.append(f"{operation.name}: {place}: answered {answer.status_code}")
            if "Canary" in logs.getvalue() or "d41d8c" in logs.getvalue():
                echoes.append(f"{operation.name}: {place}: logged")
                logs.truncate(0)
    assert echoes == []
    assert requests_sent > 300
    assert '"event": "request"' in logs.getvalue()


async def test_unknown_path_and_invalid_id_are_not_echoed(
    api: httpx.AsyncClient, logs: io.StringIO
) -> None:
    for path in ("Canary", "v1/Canary", "v1/partners/Canary", "v1/partners/Canary/token?q=Canary"):
        answer = await api.get(f"/{path}")
        assert answer.status_code in {404, 422}
        assert "Canary" not in answer.text + repr(answer.headers)
    assert "Canary" not in logs.getvalue()


@pytest.mark.parametrize(
    "body",
    [
        {"access_token": TOKEN_CANARY},
        {"access_token": f"{TOKEN_CANARY} cut"},
        {"access_token": TOKEN_CANARY, "key_id": "sk_0123456789abcdef"},
        {"sealed_token": TOKEN_CANARY, "key_id": "sk_0123456789abcdef"},
        {"sealed_token": TOKEN_CANARY},
        {"key_id": TOKEN_CANARY},
        {"token": TOKEN_CANARY},
        {TOKEN_CANARY: "x"},
    ],
)
async def test_token_is_never_echoed(
    api: httpx.AsyncClient,
    database: Database,
    tenant: Tenant,
    keyring: PublicKeyring,
    logs: io.StringIO,
    body: Any,
) -> None:
    """Send a token where it is accepted and in the wrong places."""
    world = await make_world(database, tenant.workspace_id, keyring)  # type: ignore[arg-type]
    for method, path in (("PUT", "token"), ("POST", "token-validations")):
        answer = await api.request(method, f"/v1/partners/{world.ids['ptn']}/{path}", json=body)
        assert TOKEN_CANARY not in answer.text + repr(answer.headers)
    for method, path in (("GET", "token"), ("GET", "onboarding")):
        answer = await api.request(method, f"/v1/partners/{world.ids['ptn']}/{path}")
        assert TOKEN_CANARY not in answer.text
    assert "canary" not in logs.getvalue()


async def test_debug_logs_hold_no_database_rows(
    api: httpx.AsyncClient, logs: io.StringIO, tenant: Tenant
) -> None:
    """Keep names, addresses and hashes out of the logs, even at `LOG_LEVEL=DEBUG`."""
    body = {"name": "Rowcanary", "meta_business_id": "1", "access_token": TOKEN}
    assert (await api.post("/v1/integrations", json=body)).status_code == 201
    assert (await api.get("/v1/integrations")).status_code == 200
    assert logging.getLogger().level == logging.DEBUG
    assert "Rowcanary" not in logs.getvalue()
    assert TOKEN not in logs.getvalue()
    assert tenant.api_key not in logs.getvalue()


async def test_request_log_names_route_template_status_and_id(
    api: httpx.AsyncClient, logs: io.StringIO, settings: Settings, keyring: PublicKeyring
) -> None:
    """Expect the whole route and no query string."""
    assert settings.log_format == "json"
    path = "/v1/partners/ptn_01k9z3v0e8fjt9m2c4r6w8xabc"
    answer = await api.get(path, params={"q": "Canary"})
    line = logs.getvalue().strip().splitlines()[-1]
    assert '"path": "/v1/partners/{partner_id}"' in line
    assert '"status": 404' in line
    assert answer.headers["x-request-id"] in line
    assert keyring.current.key_id not in line
