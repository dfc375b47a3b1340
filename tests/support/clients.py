"""The API as a test's client: in this process over ASGI, or a real one over HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
from fastapi import FastAPI

from partner_connector.credentials import Scope
from partner_connector.db.engine import Database
from partner_connector.features.api_keys import service as api_keys
from partner_connector.features.audit.service import Recorder
from partner_connector.features.workspaces import repository as workspaces
from partner_connector.sealing.public import PublicKeyring

ALL_SCOPES = tuple(str(scope) for scope in Scope)


@dataclass(frozen=True, slots=True)
class Tenant:
    """A workspace and a key of it that may do everything."""

    workspace_id: object
    api_key: str


async def make_tenant(
    database: Database, keyring: PublicKeyring, scopes: tuple[str, ...] = ALL_SCOPES
) -> Tenant:
    """A new workspace with one key."""
    async with database.writing() as session:
        workspace = await workspaces.create(session, "Test")
        _, api_key = await api_keys.create(
            session,
            Recorder.of_command_line(keyring, workspace.id),
            name="test",
            scopes=scopes,
            expires_at=None,
            pepper=keyring.derive(b"pc-api-keys"),
        )
    return Tenant(workspace.id, api_key)


@asynccontextmanager
async def running(app: FastAPI) -> AsyncIterator[FastAPI]:
    """The app with its lifespan, as a server would run it."""
    async with app.router.lifespan_context(app):
        yield app


def client_of(app: FastAPI, api_key: str | None) -> httpx.AsyncClient:
    """A client without a network; `None` sends no key."""
    headers = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://testserver", headers=headers)
