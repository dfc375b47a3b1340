"""Authentication, and errors that need an application of their own."""

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from partner_connector import credentials
from partner_connector.clock import now
from partner_connector.db.engine import Database
from partner_connector.db.models import ApiKey
from partner_connector.sealing.public import PublicKeyring
from tests.api import rows
from tests.api.problems import assert_problem
from tests.api.surface import TOKEN
from tests.support.clients import client_of, make_tenant

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


async def store_key(
    database: Database, keyring: PublicKeyring, workspace_id: UUID, **values: Any
) -> str:
    """Store an API key with these column values and return its secret."""
    minted = credentials.mint(keyring.derive(b"pc-api-keys"))
    key = ApiKey(
        workspace_id=workspace_id,
        name="stored",
        key_id=minted.key_id,
        digest=minted.digest,
        scopes=["partners:read"],
        **values,
    )
    await rows.store(database, key)
    return minted.secret


async def test_401_is_same_for_every_reason(
    anonymous: httpx.AsyncClient, database: Database, keyring: PublicKeyring, workspace_id: UUID
) -> None:
    """Compare the answers to missing, malformed, unknown, expired and revoked keys."""
    expired = await store_key(
        database, keyring, workspace_id, expires_at=now() - timedelta(seconds=1)
    )
    revoked = await store_key(database, keyring, workspace_id, revoked_at=now())
    good = await store_key(database, keyring, workspace_id)
    unknown = credentials.mint(keyring.derive(b"pc-api-keys")).secret
    forged = credentials.mint(b"another pepper").secret
    presented = [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer nonsense",
        "Bearer pck_",
        f"Bearer {good[:-1]}",
        f"Bearer {good}x",
        f"Bearer {good.replace('pck', 'sck')}",
        f"Bearer {unknown}",
        f"Bearer {forged}",
        f"Bearer {expired}",
        f"Bearer {revoked}",
        f"Basic {good}",
        f"Token {good}",
        good,
        "Bearer \u00e9\u00e9",
    ]
    bodies = []
    for credential in presented:
        headers = {} if credential is None else {b"Authorization": credential.encode()}
        answer = await anonymous.get("/v1/partners", headers=headers)
        problem = assert_problem(answer, 401, "not_authenticated")
        assert answer.headers["www-authenticate"].startswith("Bearer")
        bodies.append({**problem, "request_id": "", "instance": ""})
    assert all(body == bodies[0] for body in bodies)
    answer = await anonymous.get("/v1/partners", headers={"Authorization": f"bearer {good}"})
    assert answer.status_code == 200


async def test_key_with_key_id_of_another_key_is_refused(
    anonymous: httpx.AsyncClient, database: Database, keyring: PublicKeyring, workspace_id: UUID
) -> None:
    """Forge a key from a known key id: the secret part does not match."""
    good = await store_key(database, keyring, workspace_id)
    other = credentials.mint(keyring.derive(b"pc-api-keys")).secret
    body = f"pck_{good.split('_')[1]}_{other.split('_')[2][:-6]}"
    forged = body + credentials._checksum(body)
    assert credentials.key_id_of(forged) == good.split("_")[1]
    answer = await anonymous.get("/v1/partners", headers={"Authorization": f"Bearer {forged}"})
    assert_problem(answer, 401, "not_authenticated")


async def test_403_names_missing_scope(
    app: FastAPI, database: Database, keyring: PublicKeyring
) -> None:
    tenant = await make_tenant(database, keyring, scopes=("users:read",))
    async with client_of(app, tenant.api_key) as client:
        problem = assert_problem(await client.get("/v1/partners"), 403, "scope_missing")
    assert "partners:read" in problem["detail"]


async def test_unexpected_exception_is_answered_with_500(
    app: FastAPI, api: httpx.AsyncClient
) -> None:
    """Check that the problem document holds no text of the exception."""

    async def crash() -> None:
        raise RuntimeError("canary-in-an-exception")

    app.add_api_route("/crash", crash)
    answer = await api.get("/crash")
    assert_problem(answer, 500, "internal_error")
    assert "canary" not in answer.text


async def test_body_of_64_kib_is_accepted(api: httpx.AsyncClient) -> None:
    body = json.dumps({"name": "Acme", "meta_business_id": "1", "access_token": TOKEN}).encode()
    answer = await api.post(
        "/v1/integrations",
        content=body + b" " * (65_536 - len(body)),
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 201
