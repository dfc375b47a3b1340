"""Integrations (`/v1/integrations`), from the first token to the deletion."""

import base64
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from nacl.public import PublicKey, SealedBox
from sqlalchemy import func, select

from partner_connector.api.app import create_app
from partner_connector.clock import now
from partner_connector.db.engine import Database
from partner_connector.db.models import Base, Integration, Partner, Token, TokenValidation
from partner_connector.ids import decode
from partner_connector.sealing.keyring import KeyringFile, rotated
from partner_connector.sealing.private import PrivateKeyring
from partner_connector.sealing.public import PublicKeyring, SealedToken
from partner_connector.settings import Settings
from tests.api import rows
from tests.api.conftest import SharedApi
from tests.api.engine_rows import enqueued
from tests.api.surface import TOKEN
from tests.api.world import World, rows_of_workspace
from tests.support.clients import Tenant, client_of, running

ON_SHARED_LOOP = pytest.mark.asyncio(loop_scope="session")
ONLY_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
BODY = {"name": "Acme", "meta_business_id": "1029384756102938"}


async def seal_as_client(api: httpx.AsyncClient, plaintext: str = TOKEN) -> dict[str, str]:
    """Seal a token as a client does, with the published key only."""
    key = (await api.get("/v1/sealing-keys/current")).json()
    assert key["algorithm"] == "libsodium_sealed_box_x25519"
    box = SealedBox(PublicKey(base64.b64decode(key["public_key"]))).encrypt(plaintext.encode())
    return {"sealed_token": base64.b64encode(box).decode(), "key_id": key["key_id"]}


async def only_token(database: Database) -> Token:
    """Return the only token row."""
    async with database.reading() as session:
        return (await session.scalars(select(Token))).one()


async def count(database: Database, table: type[Base]) -> int:
    """Return the number of rows of a table."""
    async with database.reading() as session:
        return await session.scalar(select(func.count()).select_from(table)) or 0


async def test_create_seals_token_sent_in_clear(
    api: httpx.AsyncClient, database: Database, ring: KeyringFile
) -> None:
    """Check that no column holds the token, and that the private keyring can open it."""
    answer = await api.post("/v1/integrations", json={**BODY, "access_token": f' "{TOKEN}"\n'})
    assert answer.status_code == 201
    created = answer.json()
    assert answer.headers["location"] == f"/v1/integrations/{created['id']}"
    assert created["health"] == "pending_validation"
    assert created["app_id"] == "2965389650414399"
    assert created["graph_version"] == "v26.0"
    assert created["safeguard_percent"] == 20
    assert created["schedule"] == {
        "frequency": "daily",
        "paused": False,
        "next_run_at": None,
    }
    assert (await api.get(answer.headers["location"])).json() == created
    row = await only_token(database)
    assert row.sealed is not None
    assert (row.state, row.sealed_as, row.version) == ("candidate", "sealed_box", 1)
    assert row.key_id == ring.current.key_id
    assert TOKEN.encode() not in row.sealed
    everything = [getattr(row, column.key) for column in Token.__table__.columns]
    assert TOKEN not in repr(everything)
    assert PrivateKeyring(ring).open_box(SealedToken(row.key_id, row.sealed)) == TOKEN


async def test_create_stores_sealed_token_unchanged(
    api: httpx.AsyncClient, database: Database, ring: KeyringFile
) -> None:
    """Send a token that libsodium sealed for the published key."""
    form = await seal_as_client(api)
    answer = await api.post("/v1/integrations", json={**BODY, **form})
    assert answer.status_code == 201
    row = await only_token(database)
    assert row.sealed == base64.b64decode(form["sealed_token"])
    assert row.key_id == form["key_id"]
    assert PrivateKeyring(ring).open_box(SealedToken(row.key_id, row.sealed)) == TOKEN


async def test_create_enqueues_token_validation(api: httpx.AsyncClient, database: Database) -> None:
    """Check that the integration, its validation and the engine's entry are created together."""
    assert (await api.post("/v1/integrations", json={**BODY, "access_token": TOKEN})).is_success
    async with database.reading() as session:
        validation = (await session.scalars(select(TokenValidation))).one()
    assert (validation.purpose, validation.status, validation.partner_id) == (
        "integration",
        "queued",
        None,
    )
    assert await enqueued(database) == [f"validate_token:{validation.id}:1"]


async def test_failed_create_enqueues_nothing(api: httpx.AsyncClient, database: Database) -> None:
    body = {**BODY, "access_token": TOKEN}
    assert (await api.post("/v1/integrations", json=body)).status_code == 201
    before = await enqueued(database)
    again = await api.post("/v1/integrations", json=body)
    assert again.status_code == 409
    assert again.json()["code"] == "integration_exists"
    assert await enqueued(database) == before
    assert await count(database, Integration) == 1
    assert await count(database, Token) == 1
    assert await count(database, TokenValidation) == 1


async def test_two_workspaces_can_integrate_one_business(
    app: FastAPI, api: httpx.AsyncClient, other_tenant: Tenant
) -> None:
    """Create the same business in two workspaces: neither learns about the other."""
    body = {**BODY, "access_token": TOKEN}
    assert (await api.post("/v1/integrations", json=body)).status_code == 201
    async with client_of(app, other_tenant.api_key) as client:
        assert (await client.post("/v1/integrations", json=body)).status_code == 201


@ON_SHARED_LOOP
@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({}, "token_form_invalid"),
        ({"access_token": None}, "token_form_invalid"),
        ({"sealed_token": "AAAA"}, "token_form_invalid"),
        ({"key_id": "sk_0123456789abcdef"}, "token_form_invalid"),
        ({"access_token": TOKEN, "sealed_token": "AAAA"}, "token_form_invalid"),
        ({"access_token": TOKEN, "key_id": "sk_0123456789abcdef"}, "token_form_invalid"),
        (
            {"access_token": TOKEN, "sealed_token": "AAAA", "key_id": "sk_0123456789abcdef"},
            "token_form_invalid",
        ),
        ({"sealed_token": "A" * 200, "key_id": "sk_0123456789abcdef"}, "unknown_key_id"),
        ({"access_token": "short"}, "token_malformed"),
        ({"access_token": "   "}, "token_malformed"),
        ({"access_token": f"{TOKEN} {TOKEN}"}, "token_malformed"),
        ({"access_token": f"{TOKEN}\n{TOKEN}"}, "token_malformed"),
        ({"access_token": f"{TOKEN}\u00e9"}, "token_malformed"),
        ({"access_token": "x" * 2049}, "token_malformed"),
        ({"access_token": "x" * 4097}, "validation_failed"),
        ({"access_token": ""}, "validation_failed"),
        ({"access_token": 7}, "validation_failed"),
        ({"sealed_token": "not base64!", "key_id": "sk_0123456789abcdef"}, "validation_failed"),
        ({"sealed_token": "AAAA", "key_id": "mine"}, "validation_failed"),
    ],
)
async def test_invalid_token_form_is_refused(
    shared_api: SharedApi, form: dict[str, Any], code: str
) -> None:
    """Check the code for no form, both forms, an incomplete form and a malformed token."""
    before = (await shared_api.client.get("/v1/integrations")).json()
    answer = await shared_api.client.post("/v1/integrations", json={**BODY, **form})
    assert answer.status_code == 422, answer.text
    assert answer.json()["code"] == code
    assert (await shared_api.client.get("/v1/integrations")).json() == before


@ON_SHARED_LOOP
@pytest.mark.parametrize("size", [0, 1, 47, 48, 4097])
async def test_malformed_sealed_box_is_refused(shared_api: SharedApi, size: int) -> None:
    """Send sizes that a sealed token cannot have."""
    form = await seal_as_client(shared_api.client)
    form["sealed_token"] = base64.b64encode(b"x" * size).decode() or "===="
    answer = await shared_api.client.post("/v1/integrations", json={**BODY, **form})
    assert answer.status_code == 422
    assert answer.json()["code"] in {"sealed_token_malformed", "validation_failed"}


@ONLY_SQLITE
@pytest.mark.parametrize("cut", [1, 2, 3])
async def test_truncated_base64_is_refused(api: httpx.AsyncClient, cut: int) -> None:
    """Cut characters off a sealed box: the answer is never a 500."""
    form = await seal_as_client(api)
    form["sealed_token"] = form["sealed_token"].rstrip("=")[: -4 * 8 - cut]
    answer = await api.post("/v1/integrations", json={**BODY, **form})
    assert answer.status_code in {201, 422}
    if answer.status_code == 422:
        assert answer.json()["code"] == "sealed_token_malformed"


@ONLY_SQLITE
async def test_deployment_can_require_sealed_tokens(
    settings: Settings, keyring: PublicKeyring, database: Database, tenant: Tenant
) -> None:
    """Refuse a token in clear and accept a sealed one if `REQUIRE_SEALED_TOKENS` is set."""
    strict = settings.model_copy(update={"require_sealed_tokens": True})
    async with (
        running(create_app(strict, keyring)) as app,
        client_of(app, tenant.api_key) as client,
    ):
        refused = await client.post("/v1/integrations", json={**BODY, "access_token": TOKEN})
        assert refused.status_code == 422
        assert refused.json()["code"] == "sealed_token_required"
        assert await count(database, Token) == 0
        form = await seal_as_client(client)
        assert (await client.post("/v1/integrations", json={**BODY, **form})).status_code == 201


@ONLY_SQLITE
async def test_retiring_sealing_key_is_accepted(
    settings: Settings,
    ring: KeyringFile,
    api: httpx.AsyncClient,
    tenant: Tenant,
    database: Database,
) -> None:
    """Rotate the keyring between sealing and sending."""
    form = await seal_as_client(api)
    rotated_ring = rotated(ring)
    async with (
        running(create_app(settings, PublicKeyring(rotated_ring))) as app,
        client_of(app, tenant.api_key) as client,
    ):
        answer = await client.post("/v1/integrations", json={**BODY, **form})
        keys = (await client.get("/v1/sealing-keys")).json()["items"]
    assert answer.status_code == 201
    assert keys[0]["expires_at"] is None
    assert datetime.fromisoformat(keys[1]["expires_at"]) > now() + timedelta(days=6)
    assert [(key["key_id"], key["state"]) for key in keys] == [
        (rotated_ring.current.key_id, "current"),
        (ring.current.key_id, "retiring"),
    ]
    row = await only_token(database)
    assert row.sealed is not None
    assert PrivateKeyring(rotated_ring).open_box(SealedToken(row.key_id, row.sealed)) == TOKEN


@ONLY_SQLITE
async def test_expired_sealing_key_is_refused(
    settings: Settings, ring: KeyringFile, api: httpx.AsyncClient, tenant: Tenant
) -> None:
    """Check that `unknown_key_id` is returned and nothing is stored."""
    form = await seal_as_client(api)
    rotated_ring = rotated(ring, timedelta(0))
    async with (
        running(create_app(settings, PublicKeyring(rotated_ring))) as app,
        client_of(app, tenant.api_key) as client,
    ):
        answer = await client.post("/v1/integrations", json={**BODY, **form})
        keys = (await client.get("/v1/sealing-keys")).json()["items"]
        integrations = (await client.get("/v1/integrations")).json()["items"]
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_key_id")
    assert [key["key_id"] for key in keys] == [rotated_ring.current.key_id]
    assert integrations == []


async def test_update_changes_sent_members_only(api: httpx.AsyncClient, world: World) -> None:
    path = f"/v1/integrations/{world.ids['int']}"
    before = (await api.get(path)).json()
    answer = await api.patch(path, json={"name": "Renamed", "schedule": {"paused": True}})
    assert answer.status_code == 200
    after = answer.json()
    assert after["updated_at"] > before["updated_at"]
    assert after == {
        **before,
        "name": "Renamed",
        "schedule": {"frequency": "daily", "paused": True, "next_run_at": None},
        "updated_at": after["updated_at"],
    }
    assert (await api.get(path)).json() == after
    unchanged = await api.patch(path, json={})
    assert {**unchanged.json(), "updated_at": ""} == {**after, "updated_at": ""}


@ON_SHARED_LOOP
@pytest.mark.parametrize(
    "body",
    [
        {"safeguard_percent": 101},
        {"safeguard_percent": -1},
        {"safeguard_percent": "20"},
        {"safeguard_percent": 20.5},
        {"safeguard_percent": True},
        {"name": ""},
        {"name": "a\x00b"},
        {"name": "x" * 201},
        {"meta_business_id": "2"},
        {"health": "healthy"},
        {"schedule": {"paused": "yes"}},
        {"schedule": {"next_run_at": "2026-11-24T09:30:00.000Z"}},
    ],
)
async def test_invalid_update_is_refused(shared_api: SharedApi, body: dict[str, Any]) -> None:
    """Refuse a value out of bounds or of another type, and a read-only member."""
    path = f"/v1/integrations/{shared_api.ids['int']}"
    before = (await shared_api.client.get(path)).json()
    answer = await shared_api.client.patch(path, json=body)
    assert answer.status_code == 422, answer.text
    assert (await shared_api.client.get(path)).json() == before


async def test_missed_runs_of_a_pause_are_not_caught_up(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """Pause: no next run is shown. Resume: the overdue time is cleared, to be planned again."""
    path = f"/v1/integrations/{world.ids['int']}"

    async def plan() -> None:
        async with database.writing() as session:
            row = await session.get_one(Integration, world.integration.id)
            row.next_check_at = rows.SEEN_AT

    async def next_runs() -> list[Any]:
        listed = (await api.get("/v1/integrations")).json()["items"]
        shown = [*listed, (await api.get(path)).json()]
        return [each["schedule"]["next_run_at"] for each in shown]

    await plan()
    assert await next_runs() == ["2026-11-01T12:00:00.000Z"] * 2
    # An update that leaves the schedule unchanged does not move the next run.
    for body in ({"name": "Renamed"}, {"schedule": {"paused": False}}):
        assert (await api.patch(path, json=body)).is_success
    assert await next_runs() == ["2026-11-01T12:00:00.000Z"] * 2
    for paused in (True, False):
        answer = await api.patch(path, json={"schedule": {"paused": paused}})
        assert answer.json()["schedule"]["next_run_at"] is None
        if paused:
            # The scheduler plans a paused integration too, but starts no job.
            await plan()
        assert await next_runs() == [None, None]


async def test_delete_removes_data_and_keeps_audit_events(
    api: httpx.AsyncClient, database: Database, world: World, workspace_id: UUID
) -> None:
    """Delete an integration: its partners, partner users and tokens are removed; audit events and
    another integration stay.
    """
    other_integration = rows.integration(workspace_id)
    await rows.store(database, other_integration, rows.partner(other_integration))
    path = f"/v1/integrations/{world.ids['int']}"
    answer = await api.delete(path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await api.get(path)).status_code == 404
    assert (await api.delete(path)).status_code == 404
    async with database.reading() as session:
        remaining = await rows_of_workspace(session, workspace_id)
    kept = {"api_keys", "audit_events", "audit_heads", "integrations", "partners"}
    # Webhook events that wait for delivery are still delivered.
    kept |= {"webhook_endpoints", "webhook_events", "webhook_deliveries"}
    assert {table for table, found in remaining.items() if found} == kept
    assert await count(database, Integration) == 1
    assert await count(database, Partner) == 1


async def test_replacing_token_creates_next_version(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """Replace the token twice: each new version is validated, and the active token stays active."""
    active = rows.token(world.partner, partner_id=None, version=1)
    await rows.store(database, active)
    path = f"/v1/integrations/{world.ids['int']}/token"
    for version in (2, 3):
        answer = await api.put(path, json={"access_token": f"{TOKEN}{version}"})
        assert answer.status_code == 202
        assert answer.json()["purpose"] == "integration"
        assert answer.json()["partner_id"] is None
    async with database.reading() as session:
        query = select(Token.version, Token.state).where(
            Token.integration_id == decode("int", world.ids["int"]), Token.partner_id.is_(None)
        )
        found = (await session.execute(query.order_by(Token.version))).all()
    assert [tuple(row) for row in found] == [(1, "active"), (2, "candidate"), (3, "candidate")]
    assert len(await enqueued(database)) == 2
