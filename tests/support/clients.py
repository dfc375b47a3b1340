"""Clients of the API in this process, over ASGI, and a workspace for them."""

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
    """A workspace and one of its API keys; the key has every scope by default."""

    workspace_id: object
    api_key: str


async def make_tenant(
    database: Database, keyring: PublicKeyring, scopes: tuple[str, ...] = ALL_SCOPES
) -> Tenant:
    """Create a workspace with one API key."""
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
    """Run the app inside its lifespan, as a server does."""
    async with app.router.lifespan_context(app):
        yield app


def client_of(app: FastAPI, api_key: str | None) -> httpx.AsyncClient:
    """Return a client that calls the app in memory. With `None` it sends no API key."""
    headers = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://testserver", headers=headers)
