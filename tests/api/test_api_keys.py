"""API keys (`/v1/api-keys`): shown once, limited to the creator's scopes, revoked at once."""

from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import select

from partner_connector import credentials
from partner_connector.clock import now
from partner_connector.db.engine import Database, open_database
from partner_connector.db.models import ApiKey
from partner_connector.durable.periodic import Periodic
from partner_connector.ids import decode
from partner_connector.sealing.public import PublicKeyring
from partner_connector.settings import Settings
from partner_connector.web.context import ApiContext
from tests.api.conftest import SharedApi
from tests.support.clients import client_of, make_tenant

KEYS = "/v1/api-keys"
ON_SHARED_LOOP = pytest.mark.asyncio(loop_scope="session")
ONLY_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


async def create(api: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    """Create an API key by the API and return the answer."""
    answer = await api.post("/v1/api-keys", json={"name": "ci", "scopes": ["users:read"], **body})
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()
    return created


async def test_api_key_is_shown_only_when_created(
    app: FastAPI, api: httpx.AsyncClient, database: Database
) -> None:
    """Check that the key works, and is neither in a later answer nor in the database."""
    created = await create(api, scopes=["users:read", "users:read", "partners:read"])
    key = created["api_key"]
    assert created["scopes"] == ["partners:read", "users:read"]
    assert credentials.key_id_of(key) is not None
    async with client_of(app, key) as client:
        assert (await client.get("/v1/partners")).status_code == 200
        assert (await client.get("/v1/integrations")).status_code == 403
    listed = await api.get("/v1/api-keys")
    assert key not in listed.text
    assert key.split("_")[2] not in listed.text
    newest = listed.json()["items"][0]
    assert newest == {name: created[name] for name in newest}
    assert "api_key" not in newest
    async with database.reading() as session:
        stored = (await session.execute(select(ApiKey.__table__))).all()
    assert key.split("_")[2] not in repr(stored)


async def test_revoked_key_is_refused_at_next_request(app: FastAPI, api: httpx.AsyncClient) -> None:
    """Revoke a key twice: the second time changes nothing, and `revoked_at` stays listed."""
    created = await create(api, scopes=["partners:read"])
    async with client_of(app, created["api_key"]) as client:
        assert (await client.get("/v1/partners")).status_code == 200
        answer = await api.delete(f"/v1/api-keys/{created['id']}")
        assert (answer.status_code, answer.content) == (204, b"")
        assert (await client.get("/v1/partners")).status_code == 401
    first = (await api.get("/v1/api-keys")).json()["items"][0]
    assert first["revoked_at"] is not None
    assert (await api.delete(f"/v1/api-keys/{created['id']}")).status_code == 204
    assert (await api.get("/v1/api-keys")).json()["items"][0] == first


@ONLY_SQLITE
async def test_key_cannot_grant_scopes_it_lacks(
    app: FastAPI, database: Database, keyring: PublicKeyring
) -> None:
    tenant = await make_tenant(database, keyring, scopes=("keys:admin", "users:read"))
    async with client_of(app, tenant.api_key) as client:
        await create(client, scopes=["users:read"])
        answer = await client.post(
            "/v1/api-keys", json={"name": "more", "scopes": ["users:read", "tokens:write"]}
        )
    assert answer.status_code == 403
    assert answer.json()["code"] == "scope_not_held"


@ONLY_SQLITE
async def test_key_cannot_expire_after_its_creator(app: FastAPI, api: httpx.AsyncClient) -> None:
    """Refuse a longer expiry; otherwise a key could extend its own lifetime."""
    soon = (now() + timedelta(hours=1)).isoformat()
    later = (now() + timedelta(hours=2)).isoformat()
    creator = await create(api, scopes=["keys:admin"], expires_at=soon)
    async with client_of(app, creator["api_key"]) as client:
        for expires_at in (None, later):
            body = {"name": "longer", "scopes": ["keys:admin"], "expires_at": expires_at}
            answer = await client.post("/v1/api-keys", json=body)
            assert answer.status_code in {403, 422}, answer.text
        await create(client, scopes=["keys:admin"], expires_at=soon)


@ON_SHARED_LOOP
@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expiry_in_the_past"),
        ({"expires_at": "tomorrow"}, "validation_failed"),
        ({"expires_at": 4102444800}, "validation_failed"),
        ({"scopes": []}, "validation_failed"),
        ({"scopes": ["everything"]}, "validation_failed"),
        ({"scopes": ["tokens:read"]}, "validation_failed"),
        ({"scopes": "users:read"}, "validation_failed"),
        ({"name": ""}, "validation_failed"),
        ({"workspace_id": "wsp_01k9z3v0e8fjt9m2c4r6w8xabc"}, "validation_failed"),
    ],
)
async def test_invalid_key_request_is_refused(
    shared_api: SharedApi, body: dict[str, Any], code: str
) -> None:
    """Check that a past expiry, no scope or an unknown scope creates no key."""
    before = (await shared_api.client.get("/v1/api-keys")).json()
    answer = await shared_api.client.post(
        "/v1/api-keys", json={"name": "ci", "scopes": ["users:read"], **body}
    )
    # A past expiry depends on the clock and not on the form: hence 409 and not 422.
    assert answer.status_code == (409 if code == "expiry_in_the_past" else 422)
    assert answer.json()["code"] == code
    assert (await shared_api.client.get("/v1/api-keys")).json() == before


@ONLY_SQLITE
async def test_key_is_refused_after_its_expiry(
    app: FastAPI, api: httpx.AsyncClient, database: Database
) -> None:
    created = await create(
        api, scopes=["partners:read"], expires_at=(now() + timedelta(hours=1)).isoformat()
    )
    async with client_of(app, created["api_key"]) as client:
        assert (await client.get("/v1/partners")).status_code == 200
        async with database.writing() as session:
            query = select(ApiKey).where(ApiKey.name == "ci")
            (await session.scalars(query)).one().expires_at = now()
        assert (await client.get("/v1/partners")).status_code == 401


async def test_last_use_of_key_is_shown_after_it_is_written(
    app: FastAPI, api: httpx.AsyncClient, database: Database
) -> None:
    """Check `last_used_at` after a write, and that a later write of an older use is ignored."""
    created = (await api.post(KEYS, json={"name": "seldom", "scopes": ["users:read"]})).json()
    assert created["last_used_at"] is None
    usage = cast("ApiContext", app.state.context).key_usage
    began = now()
    async with client_of(app, created["api_key"]) as client:
        assert (await client.get("/v1/partner-users")).status_code == 200
    await usage.write(database)

    shown = {key["id"]: key["last_used_at"] for key in (await api.get(KEYS)).json()["items"]}

    used = datetime.fromisoformat(shown[created["id"]])
    assert timedelta(0) <= used - began.replace(microsecond=0) < timedelta(seconds=20)
    # Another process may write an older use later; the newest use must stay.
    usage._seen[decode("key", created["id"])] = used - timedelta(hours=1)
    await usage.write(database)
    again = {key["id"]: key["last_used_at"] for key in (await api.get(KEYS)).json()["items"]}
    assert again[created["id"]] == shown[created["id"]]


async def test_key_use_is_kept_when_database_is_unavailable(
    app: FastAPI, api: httpx.AsyncClient, settings: Settings
) -> None:
    """Fail one run of the periodic task: it returns and keeps the uses in memory."""
    await api.get(KEYS)
    usage = cast("ApiContext", app.state.context).key_usage
    seen = dict(usage._seen)
    assert seen

    missing_database = SecretStr("sqlite:////missing-directory/database.db")
    unavailable = open_database(settings.model_copy(update={"database_url": missing_database}))
    writing = Periodic("key_usage", 60, partial(usage.write, unavailable))
    assert not await writing.run_once()
    await unavailable.close()
    assert usage._seen == seen
