"""Databases and the API for every test.

A test that uses `settings`, or a fixture that depends on it, runs twice: on SQLite and on a real
PostgreSQL. The PostgreSQL comes from a wheel and is started once, unless `TEST_POSTGRES_URL` names
another server. Each test gets its own database, cloned from one that was migrated once.

`make test` runs what CONTRIBUTING.md says, `make nightly` runs everything. `pytest.mark.nightly`
leaves a whole test to `make nightly`; `pytest.mark.by_day` leaves one of two ways to run a test.
"""

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

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
from tests.support.databases import (
    PostgresTemplate,
    SqliteTemplate,
    postgres_server,
    skip_durability,
)
from tests.support.scheduling import GroupScheduling, is_nightly

# A test fails if rows are locked out of order.
locks.raise_on_violation = True

_LEFT_TO_NIGHTLY = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that runs every test."""
    text = "run every test, on each database and in each way to run the product"
    parser.addoption("--nightly", action="store_true", help=text)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the tests that only `make nightly` runs."""
    if not config.getoption("nightly"):
        _leave_to_nightly(config, items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> GroupScheduling:
    """Keep each group of tests on one worker if there are several."""
    return GroupScheduling(config, log)


def _leave_to_nightly(config: pytest.Config, items: list[pytest.Item]) -> None:
    collected = {item.nodeid for item in items}
    left = [item for item in items if is_nightly(item, collected)]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in set(left)]
    config.stash[_LEFT_TO_NIGHTLY] = len(left)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Report to the controller how many tests this worker has left to `make nightly`."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["left_to_nightly"] = session.config.stash.get(_LEFT_TO_NIGHTLY, 0)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Store the number that a worker reports: all workers collect the same tests."""
    left = getattr(node, "workeroutput", {}).get("left_to_nightly", 0)
    node.config.stash[_LEFT_TO_NIGHTLY] = left


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print how many tests are left to `make nightly`."""
    if left := config.stash.get(_LEFT_TO_NIGHTLY, 0):
        terminalreporter.write_line(f"{left} tests are left to `make nightly` (CONTRIBUTING.md)")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresTemplate]:
    """A PostgreSQL server with a migrated template."""
    # Not below pytest's own directory: other runs of pytest clean it up during this one.
    with tempfile.TemporaryDirectory(
        prefix="partner-connector-pg-", ignore_cleanup_errors=True
    ) as directory:
        given = os.environ.get("TEST_POSTGRES_URL")
        with postgres_server(Path(directory), given) as server_url:
            if given is None:
                skip_durability(server_url)
            template = PostgresTemplate(server_url)
            yield template
            template.drop()


@pytest.fixture(scope="session")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> SqliteTemplate:
    """Migrated SQLite file."""
    return SqliteTemplate(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of the test's own migrated database, on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        template: SqliteTemplate = request.getfixturevalue("sqlite")
        yield template.clone(tmp_path)
    else:
        server: PostgresTemplate = request.getfixturevalue("postgres")
        with server.clone() as url:
            yield url


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Settings with this test's database, no rate limits, and a Graph URL without a server."""
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
    """Public half of the keyring."""
    return PublicKeyring(ring)


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    """Direct access to this test's database."""
    opened = open_database(settings)
    yield opened
    await opened.close()


@pytest.fixture
async def app(settings: Settings, keyring: PublicKeyring) -> AsyncIterator[FastAPI]:
    """Started API."""
    async with running(create_app(settings, keyring)) as started:
        yield started


@pytest.fixture
async def tenant(database: Database, keyring: PublicKeyring) -> Tenant:
    """A workspace and a key with every scope."""
    return await make_tenant(database, keyring)


@pytest.fixture
async def api(app: FastAPI, tenant: Tenant) -> AsyncIterator[httpx.AsyncClient]:
    """Client of the API with the key of `tenant`."""
    async with client_of(app, tenant.api_key) as client:
        yield client
