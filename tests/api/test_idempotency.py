"""`Idempotency-Key`: every operation with an effect has it once, however often it is asked."""

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
from tests.api.world import World, everything_of, make_world
from tests.support.clients import Tenant, client_of, make_tenant

ONLY_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
KEY = "8e03978e-40d5-43dd-bc93-6894a57f9324"
WITH_KEY = {"Idempotency-Key": KEY}
KEPT_HEADERS = ("location", "etag", "retry-after", "preference-applied", "vary", "content-type")
EFFECTS = [operation for operation in OPERATIONS if operation.method in {"POST", "PUT"}]


async def send(
    client: httpx.AsyncClient, operation: Operation, world: World, **parts: Any
) -> httpx.Response:
    """Call the operation with the key, whose body is the documented one unless given."""
    parts.setdefault("json", body_for(operation))
    headers = credential(operation, world.ids) | WITH_KEY | parts.pop("headers", {})
    url = operation.url(world.ids)
    return await client.request(operation.method, url, headers=headers, **parts)


def another_body(operation: Operation) -> Any:
    """One that is as valid as the documented one."""
    body = body_for(operation)
    if body is None:
        return {"nobody": "reads this"}
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
    """The same answer, told as one that was given before."""
    assert again.status_code == first.status_code, again.text
    assert again.content == first.content
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    for name in KEPT_HEADERS:
        assert again.headers.get(name) == first.headers.get(name), name
    assert again.headers["x-request-id"] != first.headers["x-request-id"]


def test_every_effect_takes_a_key() -> None:
    """Each POST and PUT, and nothing else."""
    taking = [
        each
        for each in OPERATIONS
        if any(parameter["name"] == "Idempotency-Key" for parameter in each.parameters)
    ]
    assert taking == EFFECTS
    assert len(EFFECTS) >= 14


async def test_every_effect_happens_once(
    app: FastAPI, api: httpx.AsyncClient, database: Database, tenant: Tenant, keyring: PublicKeyring
) -> None:
    """The same key twice is one effect and one answer; another path, query or body is refused;
    another operation and another workspace know nothing of it.
    """
    workspace_id: UUID = tenant.workspace_id  # type: ignore[assignment]
    stranger = await make_tenant(database, keyring)
    for operation in EFFECTS:
        world = await make_world(database, workspace_id, keyring)
        first = await send(api, operation, world)
        assert first.is_success, (operation.name, first.text)
        async with database.reading() as session:
            before = await everything_of(session, workspace_id)
        assert_replayed(await send(api, operation, world), first)
        for changed in ({"json": another_body(operation)}, {"params": {"more": "1"}}):
            other = await send(api, operation, world, **changed)
            assert_problem(other, 422, "idempotency_key_reused")
        async with database.reading() as session:
            assert await everything_of(session, workspace_id) == before, operation.name

        theirs = await make_world(database, stranger.workspace_id, keyring)  # type: ignore[arg-type]
        async with client_of(app, stranger.api_key) as client:
            independent = await send(client, operation, theirs)
        assert independent.is_success
        assert "idempotent-replayed" not in independent.headers, operation.name


async def test_twenty_at_once_are_one_effect(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """Whoever comes while the first is at work waits for it and is given its answer."""
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


async def test_a_failure_is_not_kept(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """What was refused is tried anew, with whatever is sent then."""
    free = rows.partner(world.integration, name="Eastwind")
    await rows.store(database, free)
    url = f"/v1/partners/{encode('ptn', free.id)}/sync-jobs"
    assert_problem(await api.post(url, headers=WITH_KEY), 409, "partner_not_connected")
    await rows.store(database, rows.token(free))
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
async def test_a_key_is_bare_or_quoted(
    api: httpx.AsyncClient, world: World, sent: str, again: str
) -> None:
    """A structured field's string and the same characters as they are: one key."""
    url = f"/v1/partners/{world.ids['ptn']}/token-validations"
    body = {"access_token": TOKEN}
    first = await api.post(url, json=body, headers={"Idempotency-Key": sent})
    assert_replayed(await api.post(url, json=body, headers={"Idempotency-Key": again}), first)


@ONLY_SQLITE
@pytest.mark.parametrize(
    "key", ["", " ", '""', '"', '"a', '"a"b"', '"a\\b"', "x" * 65, f'"{"x" * 65}"', "é", "a\tb"]
)
async def test_what_is_no_key(api: httpx.AsyncClient, world: World, key: str) -> None:
    """Empty, too long, or of other characters: refused before anything is done."""
    url = f"/v1/partners/{world.ids['ptn']}/sync-jobs"
    answer = await api.post(url, headers=[(b"Idempotency-Key", key.encode())])
    problem = assert_problem(answer, 422, "validation_failed")
    assert [error["pointer"] for error in problem["errors"]] == ["header/Idempotency-Key"]


@ONLY_SQLITE
async def test_the_same_json_is_the_same_request(api: httpx.AsyncClient, world: World) -> None:
    """White space and the order of members say nothing."""
    url = f"/v1/partners/{world.ids['ptn']}/token-requests"
    headers = WITH_KEY | {"Content-Type": "application/json"}
    bodies = ('{"note":"a","expires_in_seconds":600}', '{ "expires_in_seconds": 600, "note": "a" }')
    first, again = [await api.post(url, content=body, headers=headers) for body in bodies]
    assert_replayed(again, first)


async def completed_soon(database: Database, validation_id: UUID) -> None:
    """What a worker would do."""
    await asyncio.sleep(0.3)
    async with database.writing() as session:
        values = {"status": "completed", "verdict": "connectable"}
        statement = update(TokenValidation).where(TokenValidation.id == validation_id)
        await session.execute(statement.values(values))


async def test_while_an_answer_is_held(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """A second request is told to wait; once the first is answered, it gets that answer."""
    url = f"/v1/partners/{world.ids['ptn']}/token"
    parts: dict[str, Any] = {"json": {"access_token": TOKEN}}
    held = asyncio.create_task(api.put(url, **parts, headers=WITH_KEY | {"Prefer": "wait=10"}))
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
    await completed_soon(database, validation_id)
    first = await held
    assert first.status_code == 200
    assert first.json()["status"] == "completed"
    assert first.headers["preference-applied"] == "wait=10"
    assert "retry-after" not in first.headers
    assert_replayed(await api.put(url, **parts, headers=WITH_KEY), first)


async def test_a_process_that_dies_while_it_holds_an_answer(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """A few seconds after the wait would have been over, what was known at the commit is told."""
    url = f"/v1/partners/{world.ids['ptn']}/sync-jobs"
    held = asyncio.create_task(api.post(url, headers=WITH_KEY | {"Prefer": "wait=30"}))
    row = None
    while row is None:
        await asyncio.sleep(0.02)
        async with database.reading() as session:
            row = await session.scalar(select(IdempotencyKey))
    held.cancel()
    await asyncio.gather(held, return_exceptions=True)
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


async def test_after_a_day_a_key_is_new(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """It may stand for another request then, whether or not the old row has been swept."""
    url = f"/v1/partners/{world.ids['ptn']}/token-requests"
    made = [
        await api.post(url, json={"expires_in_seconds": 600}, headers=WITH_KEY) for _ in range(2)
    ]
    assert_replayed(made[1], made[0])
    async with database.writing() as session:
        row = (await session.scalars(select(IdempotencyKey))).one()
        lifetime = row.expires_at - row.created_at
        assert abs(lifetime - timedelta(hours=24)) < timedelta(seconds=1)
        row.expires_at = now()
    other = {"expires_in_seconds": 900}
    first = await api.post(url, json=other, headers=WITH_KEY)
    assert first.status_code == 201
    assert_replayed(await api.post(url, json=other, headers=WITH_KEY), first)


async def test_what_is_kept_tells_nothing(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """Neither a token nor a key nor what was shown once stands in the table; and an answer that is
    moved to another row does not open there.
    """
    body = {"name": "spare", "scopes": ["users:read"]}
    for key in (TOKEN, KEY):
        made = await api.post("/v1/api-keys", json=body, headers={"Idempotency-Key": key})
        handed = await api.put(
            f"/v1/partners/{world.ids['ptn']}/token",
            json={"access_token": TOKEN},
            headers={"Idempotency-Key": key},
        )
        assert handed.status_code == 202
    async with database.reading() as session:
        kept = list(await session.scalars(select(IdempotencyKey)))
        plain = repr([[getattr(row, c.key) for c in row.__table__.columns] for row in kept])
    assert len(kept) == 4
    for secret in (TOKEN, KEY, made.json()["api_key"], "pck_", "spare"):
        assert secret not in plain
    answers = {row.answer for row in kept if row.operation == "createApiKey"}
    async with database.writing() as session:
        for row in await session.scalars(select(IdempotencyKey)):
            if row.operation == "createApiKey":
                row.answer = next(each for each in answers if each != row.answer)
    assert_problem(await api.post("/v1/api-keys", json=body, headers=WITH_KEY), 500)


@ONLY_SQLITE
async def test_a_lesser_key_is_not_shown_what_a_greater_one_made(
    app: FastAPI, api: httpx.AsyncClient, tenant: Tenant
) -> None:
    """Of two keys of one workspace the one that could not have made it gets no replay of it."""
    scopes = ["keys:admin", "users:read"]
    made = await api.post("/v1/api-keys", json={"name": "x", "scopes": scopes}, headers=WITH_KEY)
    lesser = await api.post("/v1/api-keys", json={"name": "y", "scopes": ["keys:admin"]})
    async with client_of(app, lesser.json()["api_key"]) as client:
        again = await client.post(
            "/v1/api-keys", json={"name": "x", "scopes": scopes}, headers=WITH_KEY
        )
    assert made.status_code == 201
    assert_problem(again, 403, "scope_not_held")
    assert tenant.api_key not in again.text


async def test_the_link_has_ended_meanwhile(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """Whoever lost the answer to a hand-over still gets it; whoever asks anew is told of the end.
    Each link has keys of its own.
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
async def test_a_replay_asks_no_condition(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """The tag was right when the effect happened, and is not asked for again; nor has the thing to
    be there still.
    """
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
async def test_what_is_deleted_while_an_answer_is_held(
    api: httpx.AsyncClient, world: World, path: str
) -> None:
    """What was asked for was done, and that is the answer, as it is to whoever asks again."""
    url = path.format(**world.ids)
    method, body = ("PUT", {"access_token": TOKEN}) if "token" in path else ("POST", {})
    headers = WITH_KEY | {"Prefer": "wait=10"}
    held = asyncio.create_task(api.request(method, url, json=body, headers=headers))
    await asyncio.sleep(0.3)
    assert (await api.delete(f"/v1/integrations/{world.ids['int']}")).status_code == 204
    first = await held
    assert first.status_code == 202, first.text
    assert_replayed(await api.request(method, url, json=body, headers=headers), first)
