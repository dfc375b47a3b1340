"""What a key may spend, and what it is told about it."""

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
    """The API with three requests an hour."""
    limited = settings.model_copy(update={"rate_limit": "3/hour"})
    async with running(create_app(limited, keyring)) as started:
        yield started


async def test_the_fourth_request_is_refused(api: httpx.AsyncClient) -> None:
    """Beyond the allowance a key gets 429 and is told when to come back."""
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


async def test_each_key_has_its_own_allowance(
    api: httpx.AsyncClient, app: FastAPI, database: Database, keyring: PublicKeyring
) -> None:
    """One key's zeal is not another's loss."""
    for _ in range(4):
        last = await api.get("/v1/integrations")
    assert last.status_code == 429
    other: Tenant = await make_tenant(database, keyring)
    async with client_of(app, other.api_key) as client:
        assert (await client.get("/v1/integrations")).status_code == 200


async def test_failures_tell_what_remains_too(api: httpx.AsyncClient) -> None:
    """An authenticated answer carries the allowance also where it is a failure."""
    answer = await api.get("/v1/partners/ptn_01k9z3v0e8fjt9m2c4r6w8xabc")
    assert answer.status_code == 404
    assert answer.headers["ratelimit"].startswith('"default";r=2;')


async def test_health_is_not_limited(api: httpx.AsyncClient) -> None:
    """A load balancer may ask as often as it likes."""
    for _ in range(6):
        assert (await api.get("/livez")).status_code == 200


async def test_wrong_codes_are_counted_by_address(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """Who tries codes of token requests is told to wait; whoever has a right one is not."""
    link = await make_link(api, database, world)
    for status in (401, 401, 401, 429):
        answer = await api.get("/v1/token-requests/current")
        assert answer.status_code == status
    assert int(answer.headers["retry-after"]) > 0
    for remaining in ("2", "1", "0"):
        seen = await link.get()
        assert seen.status_code == 200
        assert seen.headers["ratelimit"].startswith(f'"default";r={remaining};')
    assert (await link.get()).status_code == 429
