"""Databases and the API for every test.

A test that asks for `settings` (or for what is made of them) runs twice: on SQLite and on a real
PostgreSQL. The PostgreSQL comes from a wheel and is started once, unless `TEST_POSTGRES_URL` names
another server. Each test gets a database of its own, cloned from one that was migrated once.
"""

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from partner_connector.api.app import create_app
from partner_connector.db import locks
from partner_connector.db.engine import Database, open_database
from partner_connector.sealing import keyring as keyring_file
from partner_connector.sealing.keyring import KeyringFile
from partner_connector.sealing.public import PublicKeyring
from partner_connector.settings import Settings, without_environment
from tests.support.clients import Tenant, client_of, make_tenant, running
from tests.support.databases import PostgresTemplate, SqliteTemplate, postgres_server

# Every test fails where rows are locked out of order.
locks.asserting = True

# What runs whole processes shares them within a group, and takes most of the time: with two workers
# each walks one half of the journeys, and whoever is done first goes on with the rest.
_SECOND_HALF = "test_l"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep each group with one worker, where there are several."""
    for item in items:
        group = _group_of(item.path)
        if group is not None:
            item.add_marker(pytest.mark.xdist_group(group))


def _group_of(path: Path) -> str | None:
    if path.parent.name == "journey":
        return "later journeys" if path.name > _SECOND_HALF else "first journeys"
    return "blows" if path.parent.name in {"survival", "rotation"} else None


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresTemplate]:
    """A PostgreSQL server with a migrated template."""
    # Not below pytest's own directory: other runs of pytest tidy that up while this one goes on.
    with tempfile.TemporaryDirectory(
        prefix="partner-connector-pg-", ignore_cleanup_errors=True
    ) as directory:
        given = os.environ.get("TEST_POSTGRES_URL")
        with postgres_server(Path(directory), given) as server_url:
            template = PostgresTemplate(server_url)
            yield template
            template.drop()


@pytest.fixture(scope="session")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> SqliteTemplate:
    """A migrated SQLite file."""
    return SqliteTemplate(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A migrated database of the test's own, on each of the two."""
    if request.param == "sqlite":
        template: SqliteTemplate = request.getfixturevalue("sqlite")
        yield template.clone(tmp_path)
    else:
        server: PostgresTemplate = request.getfixturevalue("postgres")
        with server.clone() as url:
            yield url


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Settings for this test's database, with rate limits off and no Meta behind them."""
    return without_environment(
        data_dir=tmp_path,
        database_url=SecretStr(database_url),
        graph_base_url="http://127.0.0.1:9",
        rate_limit="off",
    )


@pytest.fixture
def ring() -> KeyringFile:
    """A fresh keyring."""
    return keyring_file.generate()


@pytest.fixture
def keyring(ring: KeyringFile) -> PublicKeyring:
    """Its public half."""
    return PublicKeyring(ring)


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    """Direct access to this test's database."""
    opened = open_database(settings)
    yield opened
    await opened.close()


@pytest.fixture
async def app(settings: Settings, keyring: PublicKeyring) -> AsyncIterator[FastAPI]:
    """The API, started."""
    async with running(create_app(settings, keyring)) as started:
        yield started


@pytest.fixture
async def tenant(database: Database, keyring: PublicKeyring) -> Tenant:
    """A workspace and a key with every scope."""
    return await make_tenant(database, keyring)


@pytest.fixture
async def api(app: FastAPI, tenant: Tenant) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the API with that key."""
    async with client_of(app, tenant.api_key) as client:
        yield client
