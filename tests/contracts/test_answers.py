"""Agreement of the API's responses with the OpenAPI document."""

from typing import Any, cast
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from partner_connector.db.engine import Database
from partner_connector.ids import encode, new_id
from partner_connector.sealing.public import PublicKeyring
from tests.api.surface import DOCUMENT, ID_PREFIXES, OPERATIONS, Operation, call, credential
from tests.api.world import make_world
from tests.contracts.json_schema import violations
from tests.support.clients import Tenant, client_of, make_tenant

# Headers that depend on the settings or the request: a rate limit, an allowed origin, a next page
# or a replay.
CONDITIONAL_HEADERS = {
    "RateLimit",
    "RateLimit-Policy",
    "Access-Control-Allow-Origin",
    "Link",
    "Idempotent-Replayed",
}

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def contradictions(operation: Operation, answer: httpx.Response) -> list[str]:
    """Return the differences between a response and its declaration."""
    declared = DOCUMENT["paths"][operation.path][operation.method.lower()]["responses"]
    status = str(answer.status_code)
    if status not in declared:
        return [f"{operation.name}: {status} is not declared"]
    response: dict[str, Any] = declared[status]
    if "$ref" in response:
        response = DOCUMENT["components"]["responses"][response["$ref"].split("/")[-1]]
    found = [
        f"{operation.name}: {status} lacks the header {name}"
        for name in response.get("headers", {})
        if name.lower() not in answer.headers and name not in CONDITIONAL_HEADERS
    ]
    content = response.get("content")
    if content is None:
        return found + ([f"{operation.name}: {status} has a body"] if answer.content else [])
    media_type = answer.headers["content-type"].split(";")[0]
    if media_type not in content:
        return [*found, f"{operation.name}: {status} is {media_type}"]
    wrong = violations(DOCUMENT, content[media_type]["schema"], answer.json())
    return found + [f"{operation.name}: {status}: {each}" for each in wrong]


async def test_success_matches_its_declaration(
    app: FastAPI, database: Database, keyring: PublicKeyring
) -> None:
    """Check that each operation's success has the declared status, headers and schema."""
    found = []
    for operation in OPERATIONS:
        tenant = await make_tenant(database, keyring)
        world = await make_world(database, cast("UUID", tenant.workspace_id), keyring)
        async with client_of(app, tenant.api_key) as api:
            answer = await call(api, operation, world.ids)
        assert answer.is_success, (operation.name, answer.text)
        found += contradictions(operation, answer)
    assert found == []


async def test_not_found_matches_its_declaration(
    api: httpx.AsyncClient, database: Database
) -> None:
    """Check that each operation's 404 is declared and has the schema of a problem."""
    assert database is not None
    unknown = {prefix: encode(prefix, new_id()) for prefix in ID_PREFIXES}
    found = []
    for operation in OPERATIONS:
        if operation.ids:
            answer = await call(api, operation, unknown)
            assert answer.status_code == 404, operation.name
            found += contradictions(operation, answer)
    assert found == []


async def test_refused_body_matches_its_declaration(
    api: httpx.AsyncClient, database: Database, keyring: PublicKeyring, tenant: Tenant
) -> None:
    """Check that each operation's refusal of a body is declared and has the schema of a problem."""
    world = await make_world(database, cast("UUID", tenant.workspace_id), keyring)
    found = []
    as_json, as_text = {"Content-Type": "application/json"}, {"Content-Type": "text/plain"}
    wrong: list[dict[str, Any]] = [
        {"json": {"unknown": 1}},
        {"json": [1]},
        {"content": b"{", "headers": as_json},
        {"content": b"x", "headers": as_text},
        {"content": b"x" * 70_000, "headers": as_json},
    ]
    for operation in OPERATIONS:
        if operation.body is None:
            continue
        for parts in wrong:
            headers = parts.get("headers", {}) | credential(operation, world.ids)
            answer = await api.request(
                operation.method, operation.url(world.ids), **(parts | {"headers": headers})
            )
            assert answer.is_client_error, (operation.name, parts)
            found += contradictions(operation, answer)
    assert found == []
