"""What the tests of the API share beside the common fixtures."""

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
    """The workspace of the key that `api` calls with."""
    return cast("UUID", tenant.workspace_id)


@pytest.fixture
async def world(database: Database, workspace_id: UUID, keyring: PublicKeyring) -> World:
    """A connected partner in that workspace."""
    return await make_world(database, workspace_id, keyring)


@pytest.fixture
async def stranger(database: Database, keyring: PublicKeyring) -> Tenant:
    """Another workspace, with a key that may do everything there."""
    return await make_tenant(database, keyring)


@pytest.fixture
async def anonymous(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a key."""
    async with client_of(app, None) as client:
        yield client


@pytest.fixture
def logs(settings: Settings) -> Iterator[io.StringIO]:
    """Everything that the program logs, at the level that says most."""
    root = logging.getLogger()
    before = (root.handlers, root.level)
    stream = io.StringIO()
    configure_logging(settings.model_copy(update={"log_level": "DEBUG"}), stream)
    yield stream
    structlog.reset_defaults()
    root.handlers, level = before
    root.setLevel(level)


@dataclass(frozen=True, slots=True)
class Standing:
    """An API that stands for the whole run, for requests that it refuses."""

    api: httpx.AsyncClient
    ids: Mapping[str, str]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def standing(
    sqlite: SqliteTemplate, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Standing]:
    """Started once: only for tests that change nothing, on the session's loop (`ON_STANDING`)."""
    directory = tmp_path_factory.mktemp("standing")
    settings = without_environment(
        data_dir=directory, database_url=SecretStr(sqlite.clone(directory)), rate_limit="off"
    )
    keyring = PublicKeyring(keyring_file.generate())
    database = open_database(settings)
    tenant = await make_tenant(database, keyring)
    made = await make_world(database, cast("UUID", tenant.workspace_id), keyring)
    async with (
        running(create_app(settings, keyring)) as started,
        client_of(started, tenant.api_key) as client,
    ):
        yield Standing(client, made.ids)
    await database.close()
