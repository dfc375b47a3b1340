"""CORS: a browser page may call the API only if `CORS_ORIGINS` names its origin."""

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from partner_connector.api.app import create_app
from partner_connector.db.engine import Database
from partner_connector.sealing.public import PublicKeyring
from partner_connector.settings import Settings
from tests.api.conftest import SharedApi
from tests.api.problems import assert_problem
from tests.api.surface import DOCUMENT
from tests.support.clients import client_of, make_tenant, running

ORIGIN = "https://front-end.example.com"
# Browsers read `Access-Control-Allow-Origin` themselves; it need not be exposed.
DOCUMENTED = set(DOCUMENT["components"]["headers"]) - {"Access-Control-Allow-Origin"}
PREFLIGHT = {
    "Access-Control-Request-Method": "PUT",
    "Access-Control-Request-Headers": "authorization,content-type,idempotency-key,if-match",
}


@pytest.fixture
async def page(settings: Settings, keyring: PublicKeyring) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an API that allows two origins."""
    known = settings.model_copy(update={"cors_origins": f"{ORIGIN}, http://localhost:5173"})
    app: FastAPI = create_app(known, keyring)
    async with running(app) as started, client_of(started, None) as client:
        yield client


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_allowed_origin_can_send_requests_and_read_answers(page: httpx.AsyncClient) -> None:
    """Check the preflight, and the headers of an error that a page can read."""
    preflight = await page.options("/v1/integrations", headers={"Origin": ORIGIN, **PREFLIGHT})
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == ORIGIN
    assert "PUT" in preflight.headers["access-control-allow-methods"]
    answer = await page.get("/v1/integrations", headers={"Origin": ORIGIN})
    assert_problem(answer, 401)
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    exposed = set(answer.headers["access-control-expose-headers"].split(", "))
    assert exposed >= DOCUMENTED | {"Content-Disposition"}
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_allowed_origin_can_read_server_error(
    page: httpx.AsyncClient, database: Database, keyring: PublicKeyring
) -> None:
    """Check that a page can read a `500` and the id of its request."""
    tenant = await make_tenant(database, keyring)
    async with database.writing() as session:
        await session.execute(text("UPDATE api_keys SET scopes = '5'"))
    headers = {"Origin": ORIGIN, "Authorization": f"Bearer {tenant.api_key}"}
    answer = await page.get("/v1/integrations", headers=headers)
    assert_problem(answer, 500)
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "X-Request-Id" in answer.headers["access-control-expose-headers"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("origin", ["https://evil.example", f"{ORIGIN}.evil.example", "null"])
async def test_other_origin_is_refused(page: httpx.AsyncClient, origin: str) -> None:
    """Check that the preflight fails and that no answer can be read."""
    preflight = await page.options("/v1/integrations", headers={"Origin": origin, **PREFLIGHT})
    assert preflight.status_code == 400
    answer = await page.get("/v1/problems", headers={"Origin": origin})
    for each in (preflight, answer):
        assert "access-control-allow-origin" not in each.headers


@pytest.mark.asyncio(loop_scope="session")
async def test_no_origin_is_allowed_by_default(shared_api: SharedApi) -> None:
    """Check that a preflight is answered with 405 if `CORS_ORIGINS` is not set."""
    preflight = await shared_api.client.options(
        "/v1/problems", headers={"Origin": ORIGIN, **PREFLIGHT}
    )
    assert_problem(preflight, 405, "method_not_allowed")
    assert "access-control-allow-origin" not in preflight.headers
