"""Rate limits of API keys and of token-request codes, and their headers."""

import re
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from partner_connector.api.app import create_app
from partner_connector.db.engine import Database
from partner_connector.sealing.public import PublicKeyring
from partner_connector.settings import Settings
from tests.api.hand_over import make_link
from tests.api.world import World
from tests.support.clients import Tenant, client_of, make_tenant, running

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
async def app(settings: Settings, keyring: PublicKeyring) -> AsyncIterator[FastAPI]:
    """API with a limit of three requests an hour."""
    limited = settings.model_copy(update={"rate_limit": "3/hour"})
    async with running(create_app(limited, keyring)) as started:
        yield started


async def test_request_beyond_the_limit_is_refused_with_retry_after(api: httpx.AsyncClient) -> None:
    remaining = []
    for _ in range(3):
        answer = await api.get("/v1/integrations")
        assert answer.status_code == 200
        assert answer.headers["ratelimit-policy"] == '"default";q=3;w=3600'
        match = re.fullmatch(r'"default";r=(\d+);t=(\d+)', answer.headers["ratelimit"])
        assert match is not None
        remaining.append(int(match[1]))
    assert remaining == [2, 1, 0]
    refused = await api.get("/v1/integrations")
    assert refused.status_code == 429
    problem = refused.json()
    assert problem["code"] == "rate_limited"
    assert refused.headers["content-type"] == "application/problem+json"
    assert 3500 <= int(refused.headers["retry-after"]) <= 3600
    assert problem["retry_after"] == int(refused.headers["retry-after"])
    assert refused.headers["ratelimit"].startswith('"default";r=0;')
    assert refused.headers["ratelimit-policy"] == '"default";q=3;w=3600'


async def test_each_key_has_its_own_limit(
    api: httpx.AsyncClient, app: FastAPI, database: Database, keyring: PublicKeyring
) -> None:
    """Use up the limit of one key and call with another."""
    for _ in range(4):
        last = await api.get("/v1/integrations")
    assert last.status_code == 429
    other: Tenant = await make_tenant(database, keyring)
    async with client_of(app, other.api_key) as client:
        assert (await client.get("/v1/integrations")).status_code == 200


async def test_failure_carries_the_rate_limit_headers(api: httpx.AsyncClient) -> None:
    answer = await api.get("/v1/partners/ptn_01k9z3v0e8fjt9m2c4r6w8xabc")
    assert answer.status_code == 404
    assert answer.headers["ratelimit"].startswith('"default";r=2;')


async def test_health_check_is_not_limited(api: httpx.AsyncClient) -> None:
    for _ in range(6):
        assert (await api.get("/livez")).status_code == 200


async def test_wrong_codes_are_counted_by_address(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """Expect 429 after three wrong codes; a valid code still works from the same address."""
    link = await make_link(api, database, world)
    for status in (401, 401, 401, 429):
        answer = await api.get("/v1/token-requests/current")
        assert answer.status_code == status
    assert int(answer.headers["retry-after"]) > 0
    for remaining in ("2", "1", "0"):
        answer = await link.get()
        assert answer.status_code == 200
        assert answer.headers["ratelimit"].startswith(f'"default";r={remaining};')
    assert (await link.get()).status_code == 429
