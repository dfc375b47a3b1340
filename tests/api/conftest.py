"""Fixtures of the API tests, in addition to the common fixtures."""

import io
import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import cast
from uuid import UUID

import httpx
import pytest
import pytest_asyncio
import structlog
from fastapi import FastAPI
from pydantic import SecretStr

from partner_connector.api.app import create_app
from partner_connector.db.engine import Database, open_database
from partner_connector.sealing import keyring as keyring_file
from partner_connector.sealing.public import PublicKeyring
from partner_connector.settings import Settings, without_environment
from partner_connector.telemetry.logging import configure_logging
from tests.api.world import World, make_world
from tests.support.clients import Tenant, client_of, make_tenant, running
from tests.support.databases import SqliteTemplate


@pytest.fixture
def workspace_id(tenant: Tenant) -> UUID:
    """The workspace of the API key that `api` sends."""
    return cast("UUID", tenant.workspace_id)


@pytest.fixture
async def world(database: Database, workspace_id: UUID, keyring: PublicKeyring) -> World:
    """A connected partner in `workspace_id`, with a row of every kind."""
    return await make_world(database, workspace_id, keyring)


@pytest.fixture
async def other_tenant(database: Database, keyring: PublicKeyring) -> Tenant:
    """Another workspace, with an API key that has every scope."""
    return await make_tenant(database, keyring)


@pytest.fixture
async def anonymous(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client without an API key."""
    async with client_of(app, None) as client:
        yield client


@pytest.fixture
def logs(settings: Settings) -> Iterator[io.StringIO]:
    """Everything that the service logs, at level DEBUG."""
    root = logging.getLogger()
    before = (root.handlers, root.level)
    stream = io.StringIO()
    configure_logging(settings.model_copy(update={"log_level": "DEBUG"}), stream)
    yield stream
    structlog.reset_defaults()
    root.handlers, level = before
    root.setLevel(level)


@dataclass(frozen=True, slots=True)
class SharedApi:
    """An API that runs for the whole test session, and the ids of its rows."""

    client: httpx.AsyncClient
    ids: Mapping[str, str]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_api(
    sqlite: SqliteTemplate, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[SharedApi]:
    """An API started once a session, for read-only tests on its loop (`ON_SHARED_LOOP`)."""
    directory = tmp_path_factory.mktemp("shared_api")
    settings = without_environment(
        data_dir=directory, database_url=SecretStr(sqlite.clone(directory)), rate_limit="off"
    )
    keyring = PublicKeyring(keyring_file.generate())
    database = open_database(settings)
    tenant = await make_tenant(database, keyring)
    world = await make_world(database, cast("UUID", tenant.workspace_id), keyring)
    async with (
        running(create_app(settings, keyring)) as started,
        client_of(started, tenant.api_key) as client,
    ):
        yield SharedApi(client, world.ids)
    await database.close()
