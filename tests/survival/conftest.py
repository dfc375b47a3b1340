"""Two small products for kills and outages."""

from collections.abc import Iterator

import pytest

from tests.survival.customer import Customer, customer
from tests.survival.deployment import deployment
from tests.survival.postgres import OwnPostgres, own_postgres

PARTNERS = 4


@pytest.fixture(scope="package")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Customer]:
    """Customer of a product on SQLite, in one process."""
    directory = tmp_path_factory.mktemp("survival-embedded")
    with deployment(directory, None, partners=PARTNERS) as running, customer(running) as made:
        yield made


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnPostgres]:
    """PostgreSQL server for this package only."""
    with own_postgres(tmp_path_factory.mktemp("survival-postgres")) as started:
        yield started


@pytest.fixture(scope="package")
def separate(tmp_path_factory: pytest.TempPathFactory, server: OwnPostgres) -> Iterator[Customer]:
    """Customer of a product on PostgreSQL, with an API and two workers."""
    directory = tmp_path_factory.mktemp("survival-apart")
    with deployment(directory, server.url, partners=PARTNERS) as running, customer(running) as made:
        yield made


@pytest.fixture(params=["embedded", "separate"])
def subject(request: pytest.FixtureRequest) -> Customer:
    """Customer of each product in turn."""
    made: Customer = request.getfixturevalue(request.param)
    return made
