"""`Idempotency-Key`: a repeated request has one effect, for every operation with an effect."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select, update

from partner_connector.clock import now
from partner_connector.db.engine import Database
from partner_connector.db.models import (
    Base,
    IdempotencyKey,
    Integration,
    Token,
    TokenRequest,
    TokenValidation,
)
from partner_connector.ids import decode, encode
from partner_connector.sealing.public import PublicKeyring
from tests.api import rows
from tests.api.hand_over import make_link
from tests.api.problems import assert_problem
from tests.api.surface import OPERATIONS, TOKEN, Operation, body_for, credential
from tests.api.world import World, make_world, rows_of_workspace
from tests.support.clients import Tenant, client_of, make_tenant

ONLY_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
KEY = "8e03978e-40d5-43dd-bc93-6894a57f9324"
WITH_KEY = {"Idempotency-Key": KEY}
KEPT_HEADERS = ("location", "etag", "retry-after", "preference-applied", "vary", "content-type")
EFFECTS = [operation for operation in OPERATIONS if operation.method in {"POST", "PUT"}]


async def send(
    client: httpx.AsyncClient, operation: Operation, world: World, **parts: Any
) -> httpx.Response:
    """Call the operation with the idempotency key and, unless `json` is given, a valid body."""
    parts.setdefault("json", body_for(operation))
    headers = credential(operation, world.ids) | WITH_KEY | parts.pop("headers", {})
    url = operation.url(world.ids)
    return await client.request(operation.method, url, headers=headers, **parts)


def another_body(operation: Operation) -> Any:
    """Return a valid body that differs from that of `body_for`."""
    body = body_for(operation)
    if body is None:
        return {"member": "ignored"}
    if "access_token" in body:
        return body | {"access_token": f"{TOKEN}x"}
    if "expires_in_seconds" in body:
        return body | {"expires_in_seconds": 601}
    if "url" in body:
        return body | {"url": "https://hooks.example.org/"}
    if "since_at" in body:
        return body | {"include_delivered": True}
    return body | {"name": "Another"} if "name" in body else None


def assert_replayed(again: httpx.Response, first: httpx.Response) -> None:
    """Assert that `again` is the stored answer `first`, marked as replayed."""
    assert again.status_code == first.status_code, again.text
    assert again.content == first.content
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    for name in KEPT_HEADERS:
        assert again.headers.get(name) == first.headers.get(name), name
    assert again.headers["x-request-id"] != first.headers["x-request-id"]


def test_every_post_and_put_takes_idempotency_key() -> None:
    with_header = [
        each
        for each in OPERATIONS
        if any(parameter["name"] == "Idempotency-Key" for parameter in each.parameters)
    ]
    assert with_header == EFFECTS
    assert len(EFFECTS) >= 14


async def test_repeated_request_has_one_effect(
    app: FastAPI, api: httpx.AsyncClient, database: Database, tenant: Tenant, keyring: PublicKeyring
) -> None:
    """Send each operation twice with one key: the answer is replayed. Refuse the key with another
    query or body. Accept it in another workspace and for another operation.
    """
    workspace_id: UUID = tenant.workspace_id  # type: ignore[assignment]
    other_tenant = await make_tenant(database, keyring)
    for operation in EFFECTS:
        world = await make_world(database, workspace_id, keyring)
        first = await send(api, operation, world)
        assert first.is_success, (operation.name, first.text)
        async with database.reading() as session:
            before = await rows_of_workspace(session, workspace_id)
        assert_replayed(await send(api, operation, world), first)
        for change in ({"json": another_body(operation)}, {"params": {"more": "1"}}):
            other = await send(api, operation, world, **change)
            assert_problem(other, 422, "idempotency_key_reused")
        async with database.reading() as session:
            assert await rows_of_workspace(session, workspace_id) == before, operation.name

        other_world = await make_world(database, other_tenant.workspace_id, keyring)  # type: ignore[arg-type]
        async with client_of(app, other_tenant.api_key) as client:
            independent = await send(client, operation, other_world)
        assert independent.is_success
        assert "idempotent-replayed" not in independent.headers, operation.name


async def test_concurrent_requests_with_one_key_have_one_effect(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """Send twenty requests at once: the others wait for the first and replay its answer."""
    for url, body, table in (
        (f"/v1/partners/{world.ids['ptn']}/token-requests", {"expires_in_seconds": 600}, None),
        (f"/v1/partners/{world.ids['ptn']}/token-validations", {"access_token": TOKEN}, Token),
    ):
        counted: type[Base] = table or TokenRequest
        async with database.reading() as session:
            before = await session.scalar(select(func.count()).select_from(counted))
        answers = await asyncio.gather(
            *(api.post(url, json=body, headers=WITH_KEY) for _ in range(20))
        )
        assert len({answer.content for answer in answers}) == 1
        assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1
        async with database.reading() as session:
            after = await session.scalar(select(func.count()).select_from(counted))
        assert after == (before or 0) + 1


async def test_error_is_not_stored_for_replay(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """Repeat a refused request with another body: it is processed again."""
    partner = rows.partner(world.integration, name="Eastwind")
    await rows.store(database, partner)
    url = f"/v1/partners/{encode('ptn', partner.id)}/sync-jobs"
    assert_problem(await api.post(url, headers=WITH_KEY), 409, "partner_not_connected")
    await rows.store(database, rows.token(partner))
    answer = await api.post(url, json={}, headers=WITH_KEY)
    assert answer.status_code == 202
    assert "idempotent-replayed" not in answer.headers


@ONLY_SQLITE
@pytest.mark.parametrize(
    ("sent", "again"),
    [
        ("abc", '"abc"'),
        ('"a\\"b\\\\c"', 'a"b\\c'),
        ("x" * 64, f'"{"x" * 64}"'),
        ("two words", '"two words"'),
    ],
)
async def test_bare_and_quoted_key_are_same_key(
    api: httpx.AsyncClient, world: World, sent: str, again: str
) -> None:
    """Compare a structured field's string with the same characters without quotes."""
    url = f"/v1/partners/{world.ids['ptn']}/token-validations"
    body = {"access_token": TOKEN}
    first = await api.post(url, json=body, headers={"Idempotency-Key": sent})
    assert_replayed(await api.post(url, json=body, headers={"Idempotency-Key": again}), first)


@ONLY_SQLITE
@pytest.mark.parametrize(
    "key", ["", " ", '""', '"', '"a', '"a"b"', '"a\\b"', "x" * 65, f'"{"x" * 65}"', "é", "a\tb"]
)
async def test_invalid_key_is_refused(api: httpx.AsyncClient, world: World, key: str) -> None:
    """Refuse a key that is empty, too long or has other characters."""
    url = f"/v1/partners/{world.ids['ptn']}/sync-jobs"
    answer = await api.post(url, headers=[(b"Idempotency-Key", key.encode())])
    problem = assert_problem(answer, 422, "validation_failed")
    assert [error["pointer"] for error in problem["errors"]] == ["header/Idempotency-Key"]


@ONLY_SQLITE
async def test_equal_json_is_same_request(api: httpx.AsyncClient, world: World) -> None:
    """Ignore white space and the order of members."""
    url = f"/v1/partners/{world.ids['ptn']}/token-requests"
    headers = WITH_KEY | {"Content-Type": "application/json"}
    bodies = ('{"note":"a","expires_in_seconds":600}', '{ "expires_in_seconds": 600, "note": "a" }')
    first, again = [await api.post(url, content=body, headers=headers) for body in bodies]
    assert_replayed(again, first)


async def complete_validation_soon(database: Database, validation_id: UUID) -> None:
    """Complete the validation after 0.3 seconds, as a worker does."""
    await asyncio.sleep(0.3)
    async with database.writing() as session:
        values = {"status": "completed", "verdict": "connectable"}
        statement = update(TokenValidation).where(TokenValidation.id == validation_id)
        await session.execute(statement.values(values))


async def test_request_is_refused_while_first_request_waits(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """Repeat a request while the first waits (`Prefer: wait`), and after it is answered."""
    url = f"/v1/partners/{world.ids['ptn']}/token"
    parts: dict[str, Any] = {"json": {"access_token": TOKEN}}
    waiting = asyncio.create_task(api.put(url, **parts, headers=WITH_KEY | {"Prefer": "wait=10"}))
    query = select(TokenValidation.id).where(TokenValidation.status == "queued")
    validation_id = None
    while validation_id is None:
        await asyncio.sleep(0.02)
        async with database.reading() as session:
            validation_id = await session.scalar(query)
    problem = assert_problem(
        await api.put(url, **parts, headers=WITH_KEY), 409, "idempotency_in_flight"
    )
    assert problem["retry_after"] == 1
    await complete_validation_soon(database, validation_id)
    first = await waiting
    assert first.status_code == 200
    assert first.json()["status"] == "completed"
    assert first.headers["preference-applied"] == "wait=10"
    assert "retry-after" not in first.headers
    assert_replayed(await api.put(url, **parts, headers=WITH_KEY), first)


async def test_answer_of_commit_is_replayed_after_process_dies(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """Cancel a waiting request: soon after its wait, the state at the commit is replayed."""
    url = f"/v1/partners/{world.ids['ptn']}/sync-jobs"
    waiting = asyncio.create_task(api.post(url, headers=WITH_KEY | {"Prefer": "wait=30"}))
    row = None
    while row is None:
        await asyncio.sleep(0.02)
        async with database.reading() as session:
            row = await session.scalar(select(IdempotencyKey))
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert_problem(await api.post(url, headers=WITH_KEY), 409, "idempotency_in_flight")
    assert row.in_flight_until is not None
    assert timedelta(seconds=30) < row.in_flight_until - row.created_at < timedelta(seconds=40)
    async with database.writing() as session:
        await session.execute(update(IdempotencyKey).values(in_flight_until=now()))
    answer = await api.post(url, headers=WITH_KEY)
    assert answer.status_code == 202
    assert answer.headers["idempotent-replayed"] == "true"
    assert "preference-applied" not in answer.headers
    assert (await api.get(answer.headers["location"])).json() == answer.json()


async def test_key_can_be_used_again_after_24_hours(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """Expire the row of the key: it accepts another request, although the row still exists."""
    url = f"/v1/partners/{world.ids['ptn']}/token-requests"
    answers = [
        await api.post(url, json={"expires_in_seconds": 600}, headers=WITH_KEY) for _ in range(2)
    ]
    assert_replayed(answers[1], answers[0])
    async with database.writing() as session:
        row = (await session.scalars(select(IdempotencyKey))).one()
        lifetime = row.expires_at - row.created_at
        assert abs(lifetime - timedelta(hours=24)) < timedelta(seconds=1)
        row.expires_at = now()
    other = {"expires_in_seconds": 900}
    first = await api.post(url, json=other, headers=WITH_KEY)
    assert first.status_code == 201
    assert_replayed(await api.post(url, json=other, headers=WITH_KEY), first)


async def test_stored_answers_hold_no_readable_secret(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """Check that the table holds no token, key or secret in clear, and that an answer that is moved
    to another row cannot be decrypted.
    """
    body = {"name": "spare", "scopes": ["users:read"]}
    for key in (TOKEN, KEY):
        created = await api.post("/v1/api-keys", json=body, headers={"Idempotency-Key": key})
        handed_over = await api.put(
            f"/v1/partners/{world.ids['ptn']}/token",
            json={"access_token": TOKEN},
            headers={"Idempotency-Key": key},
        )
        assert handed_over.status_code == 202
    async with database.reading() as session:
        stored = list(await session.scalars(select(IdempotencyKey)))
        plain = repr([[getattr(row, c.key) for c in row.__table__.columns] for row in stored])
    assert len(stored) == 4
    for secret in (TOKEN, KEY, created.json()["api_key"], "pck_", "spare"):
        assert secret not in plain
    answers = {row.answer for row in stored if row.operation == "createApiKey"}
    async with database.writing() as session:
        for row in await session.scalars(select(IdempotencyKey)):
            if row.operation == "createApiKey":
                row.answer = next(each for each in answers if each != row.answer)
    assert_problem(await api.post("/v1/api-keys", json=body, headers=WITH_KEY), 500)


@ONLY_SQLITE
async def test_api_key_with_fewer_scopes_gets_no_replay(
    app: FastAPI, api: httpx.AsyncClient, tenant: Tenant
) -> None:
    """Repeat a request with an API key that lacks a scope which the effect needs."""
    scopes = ["keys:admin", "users:read"]
    created = await api.post("/v1/api-keys", json={"name": "x", "scopes": scopes}, headers=WITH_KEY)
    narrower = await api.post("/v1/api-keys", json={"name": "y", "scopes": ["keys:admin"]})
    async with client_of(app, narrower.json()["api_key"]) as client:
        again = await client.post(
            "/v1/api-keys", json={"name": "x", "scopes": scopes}, headers=WITH_KEY
        )
    assert created.status_code == 201
    assert_problem(again, 403, "scope_not_held")
    assert tenant.api_key not in again.text


async def test_hand_over_is_replayed_after_token_request_ends(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """Revoke a token request: the same key still replays the answer, a new hand-over gets 410. Each
    token request has its own idempotency keys.
    """
    links = [await make_link(api, database, world) for _ in range(2)]
    firsts = []
    for link in links:
        headers = WITH_KEY | {"Authorization": f"Bearer {link.code}"}
        url = "/v1/token-requests/current/token"
        firsts.append(await api.put(url, json={"access_token": TOKEN}, headers=headers))
        await link.revoke()
        again = await api.put(url, json={"access_token": TOKEN}, headers=headers)
        assert_replayed(again, firsts[-1])
        assert_problem(await link.hand_over(), 410, "token_request_ended")
    assert len({first.json()["id"] for first in firsts}) == 2


@ONLY_SQLITE
async def test_replay_ignores_preconditions(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """Change and then delete the integration: the replay compares no tag and needs no row."""
    integration = f"/v1/integrations/{world.ids['int']}"
    tag = (await api.get(integration)).headers["etag"]
    headers = WITH_KEY | {"If-Match": tag}
    body = {"access_token": TOKEN}
    first = await api.put(f"{integration}/token", json=body, headers=headers)
    async with database.writing() as session:
        row = await session.get_one(Integration, decode("int", world.ids["int"]))
        row.name = "Renamed"
    assert_replayed(await api.put(f"{integration}/token", json=body, headers=headers), first)
    fresh = headers | {"Idempotency-Key": "another"}
    stale = await api.put(f"{integration}/token", json=body, headers=fresh)
    assert_problem(stale, 412, "precondition_failed")
    assert (await api.delete(integration)).status_code == 204
    assert_replayed(await api.put(f"{integration}/token", json=body, headers=headers), first)


@ONLY_SQLITE
@pytest.mark.parametrize(
    "path", ["/v1/integrations/{int}/token", "/v1/integrations/{int}/sync-jobs"]
)
async def test_resource_deleted_during_wait_keeps_its_answer(
    api: httpx.AsyncClient, world: World, path: str
) -> None:
    """Delete the integration while a request waits: the request is answered, and replayed."""
    url = path.format(**world.ids)
    method, body = ("PUT", {"access_token": TOKEN}) if "token" in path else ("POST", {})
    headers = WITH_KEY | {"Prefer": "wait=10"}
    waiting = asyncio.create_task(api.request(method, url, json=body, headers=headers))
    await asyncio.sleep(0.3)
    assert (await api.delete(f"/v1/integrations/{world.ids['int']}")).status_code == 204
    first = await waiting
    assert first.status_code == 202, first.text
    assert_replayed(await api.request(method, url, json=body, headers=headers), first)
