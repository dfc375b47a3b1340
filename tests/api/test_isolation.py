"""Isolation: a workspace cannot reach another's rows, and a key is limited to its scopes."""

from typing import cast
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from partner_connector.credentials import Scope
from partner_connector.db.engine import Database
from partner_connector.ids import encode, new_id
from partner_connector.sealing.public import PublicKeyring
from tests.api.surface import ID_PREFIXES, OPERATIONS, call, id_prefix, resolve
from tests.api.world import make_world, rows_of_workspace
from tests.support.clients import ALL_SCOPES, Tenant, client_of, make_tenant

pytestmark = pytest.mark.by_day("sqlite")

WITH_IDS = [operation for operation in OPERATIONS if operation.ids]
SCOPED = [operation for operation in OPERATIONS if operation.scopes]


def test_world_has_row_for_every_kind_of_id() -> None:
    prefixes = {"int", "ptn", "tok", "val", "job", "usr", "ast", "key", "trq", "whk", "dlv"}
    assert prefixes >= ID_PREFIXES


async def test_ids_of_another_workspace_are_not_found(
    api: httpx.AsyncClient, database: Database, keyring: PublicKeyring, other_tenant: Tenant
) -> None:
    """Compare the answers to ids of another workspace and to ids that do not exist."""
    other_world = await make_world(database, cast("UUID", other_tenant.workspace_id), keyring)
    unknown = {prefix: encode(prefix, new_id()) for prefix in other_world.ids}
    async with database.reading() as session:
        before = await rows_of_workspace(session, cast("UUID", other_tenant.workspace_id))
    for operation in WITH_IDS:
        foreign = await call(api, operation, other_world.ids)
        missing = await call(api, operation, unknown)
        assert missing.status_code == 404, operation.name
        assert foreign.status_code == 404, operation.name
        masked = {"request_id": "", "instance": ""}
        assert {**foreign.json(), **masked} == {**missing.json(), **masked}, operation.name
        differing = {"x-request-id", "content-length"}
        assert {k: v for k, v in foreign.headers.items() if k not in differing} == {
            k: v for k, v in missing.headers.items() if k not in differing
        }, operation.name
    async with database.reading() as session:
        assert await rows_of_workspace(session, cast("UUID", other_tenant.workspace_id)) == before


async def test_lists_return_rows_of_own_workspace_only(
    api: httpx.AsyncClient, database: Database, keyring: PublicKeyring, other_tenant: Tenant
) -> None:
    """Read every list, without a filter and filtered by another workspace's ids."""
    other_world = await make_world(database, cast("UUID", other_tenant.workspace_id), keyring)
    for operation in OPERATIONS:
        if operation.method != "GET" or operation.ids or not operation.is_secured:
            continue
        if operation.needs_code:
            # Not a list: it returns the token request of the code, in the code's workspace.
            continue
        filters = {
            parameter["name"]: other_world.ids[prefix]
            for parameter in operation.parameters
            if (prefix := id_prefix(resolve(parameter["schema"])))
        }
        for params in ({}, *({name: value} for name, value in filters.items())):
            answer = await api.get(operation.path, params=params)
            assert answer.status_code == 200, (operation.name, params)
            assert not [v for v in other_world.ids.values() if v in answer.text], operation.name


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_documented_scope_is_sufficient(
    app: FastAPI, database: Database, keyring: PublicKeyring
) -> None:
    """Call each operation with only its documented scope."""
    for operation in OPERATIONS:
        tenant = await make_tenant(database, keyring, scopes=operation.scopes)
        world = await make_world(database, cast("UUID", tenant.workspace_id), keyring)
        async with client_of(app, tenant.api_key) as client:
            answer = await call(client, operation, world.ids)
        assert answer.status_code not in {401, 403}, operation.name
        assert answer.is_success, (operation.name, answer.text)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_documented_scope_is_required(
    app: FastAPI, database: Database, keyring: PublicKeyring
) -> None:
    """Call each operation with every scope except its own: it is refused and changes nothing."""
    for operation in SCOPED:
        others = tuple(scope for scope in ALL_SCOPES if scope not in operation.scopes)
        tenant = await make_tenant(database, keyring, scopes=others)
        workspace_id = cast("UUID", tenant.workspace_id)
        world = await make_world(database, workspace_id, keyring)
        async with database.reading() as session:
            before = await rows_of_workspace(session, workspace_id)
        async with client_of(app, tenant.api_key) as client:
            answer = await call(client, operation, world.ids)
        assert answer.status_code == 403, operation.name
        assert answer.json()["code"] == "scope_missing"
        async with database.reading() as session:
            assert await rows_of_workspace(session, workspace_id) == before, operation.name


async def test_secured_operations_require_credential(
    anonymous: httpx.AsyncClient, database: Database
) -> None:
    """Send no credential and unknown ids: 401 comes before 404."""
    assert database is not None
    unknown = {prefix: encode(prefix, new_id()) for prefix in ID_PREFIXES} | {"trc": ""}
    for operation in OPERATIONS:
        if operation.is_secured:
            answer = await call(anonymous, operation, unknown, headers={"Authorization": ""})
            assert answer.status_code == 401, operation.name


def test_every_operation_declares_credential_and_scope() -> None:
    """Check that all of `/v1` except `/v1/problems` is secured, with at most one scope."""
    known = {str(scope) for scope in Scope}
    for operation in OPERATIONS:
        if operation.path.startswith("/v1/") and operation.path != "/v1/problems":
            assert operation.is_secured, operation.name
            assert len(operation.scopes) <= 1, operation.name
            assert set(operation.scopes) <= known, operation.name


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/v1/integrations", "integrations:read"),
        ("POST", "/v1/integrations", "integrations:write"),
        ("PUT", "/v1/integrations/{integration_id}/token", "integrations:write"),
        ("POST", "/v1/integrations/{integration_id}/sync-jobs", "syncs:run"),
        ("GET", "/v1/partners", "partners:read"),
        ("GET", "/v1/partners/{partner_id}/onboarding", "partners:read"),
        ("GET", "/v1/partners/{partner_id}/assets", "partners:read"),
        ("GET", "/v1/partners/{partner_id}/token", "partners:read"),
        ("PUT", "/v1/partners/{partner_id}/token", "tokens:write"),
        ("DELETE", "/v1/partners/{partner_id}/token", "tokens:write"),
        ("POST", "/v1/partners/{partner_id}/token-validations", "tokens:write"),
        ("GET", "/v1/token-validations/{validation_id}", "tokens:write"),
        ("GET", "/v1/partners/{partner_id}/token-requests", "tokens:write"),
        ("POST", "/v1/partners/{partner_id}/token-requests", "tokens:write"),
        ("GET", "/v1/token-requests/{request_id}", "tokens:write"),
        ("DELETE", "/v1/token-requests/{request_id}", "tokens:write"),
        ("POST", "/v1/partners/{partner_id}/sync-jobs", "syncs:run"),
        ("GET", "/v1/sync-jobs", "syncs:read"),
        ("POST", "/v1/sync-jobs/{job_id}/cancel", "syncs:run"),
        ("GET", "/v1/sync-jobs/{job_id}/plan", "syncs:read"),
        ("POST", "/v1/sync-jobs/{job_id}/plan/approve", "syncs:approve"),
        ("POST", "/v1/sync-jobs/{job_id}/plan/reject", "syncs:approve"),
        ("POST", "/v1/partners/{partner_id}/token/accept-capabilities", "syncs:approve"),
        ("GET", "/v1/partner-users", "users:read"),
        ("GET", "/v1/changes", "users:read"),
        ("GET", "/v1/audit-events", "audit:read"),
        ("POST", "/v1/api-keys", "keys:admin"),
    ],
)
def test_scopes_match_contract(method: str, path: str, scope: str) -> None:
    found = [each.scopes for each in OPERATIONS if (each.method, each.path) == (method, path)]
    assert found == [(scope,)]
