"""Pages of other origins: none may call us from a browser, unless the deployment names theirs."""

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from partner_connector.api.app import create_app
from partner_connector.db.engine import Database
from partner_connector.sealing.public import PublicKeyring
from partner_connector.settings import Settings
from tests.api.conftest import Standing
from tests.api.problems import assert_problem
from tests.api.surface import DOCUMENT
from tests.support.clients import client_of, make_tenant, running

OURS = "https://front-end.example.com"
# Who may read an answer is told by the browser's own header.
DOCUMENTED = set(DOCUMENT["components"]["headers"]) - {"Access-Control-Allow-Origin"}
PREFLIGHT = {
    "Access-Control-Request-Method": "PUT",
    "Access-Control-Request-Headers": "authorization,content-type,idempotency-key,if-match",
}


@pytest.fixture
async def page(settings: Settings, keyring: PublicKeyring) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an API that knows two origins."""
    known = settings.model_copy(update={"cors_origins": f"{OURS}, http://localhost:5173"})
    app: FastAPI = create_app(known, keyring)
    async with running(app) as started, client_of(started, None) as client:
        yield client


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_named_origin_may(page: httpx.AsyncClient) -> None:
    """It may send what the operations take, and read what they tell, failures included."""
    asked = await page.options("/v1/integrations", headers={"Origin": OURS, **PREFLIGHT})
    assert asked.status_code == 200
    assert asked.headers["access-control-allow-origin"] == OURS
    assert "PUT" in asked.headers["access-control-allow-methods"]
    answer = await page.get("/v1/integrations", headers={"Origin": OURS})
    assert_problem(answer, 401)
    assert answer.headers["access-control-allow-origin"] == OURS
    exposed = set(answer.headers["access-control-expose-headers"].split(", "))
    assert exposed >= DOCUMENTED | {"Content-Disposition"}
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_named_origin_sees_a_fault_of_ours(
    page: httpx.AsyncClient, database: Database, keyring: PublicKeyring
) -> None:
    """A page can tell a `500` from a connection that is broken, and find its request's id."""
    tenant = await make_tenant(database, keyring)
    async with database.writing() as session:
        await session.execute(text("UPDATE api_keys SET scopes = '5'"))
    headers = {"Origin": OURS, "Authorization": f"Bearer {tenant.api_key}"}
    answer = await page.get("/v1/integrations", headers=headers)
    assert_problem(answer, 500)
    assert answer.headers["access-control-allow-origin"] == OURS
    assert "X-Request-Id" in answer.headers["access-control-expose-headers"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("origin", ["https://evil.example", f"{OURS}.evil.example", "null"])
async def test_any_other_may_not(page: httpx.AsyncClient, origin: str) -> None:
    """Neither is it asked for, nor is an answer to be read."""
    asked = await page.options("/v1/integrations", headers={"Origin": origin, **PREFLIGHT})
    assert asked.status_code == 400
    answer = await page.get("/v1/problems", headers={"Origin": origin})
    for each in (asked, answer):
        assert "access-control-allow-origin" not in each.headers


@pytest.mark.asyncio(loop_scope="session")
async def test_none_by_default(standing: Standing) -> None:
    """Without the setting a preflight is a method like any other that is not there."""
    asked = await standing.api.options("/v1/problems", headers={"Origin": OURS, **PREFLIGHT})
    assert_problem(asked, 405, "method_not_allowed")
    assert "access-control-allow-origin" not in asked.headers
