"""Two running products for the whole folder, and a workspace of its own for each test.

A test that asks for `stack` or `caller` runs against both; one that parametrises `stack` indirectly
chooses. The simulated Meta is put back to its first moment before each test.
"""

from collections.abc import Iterator

import pytest

from tests.journey.caller import Caller
from tests.journey.stacks import Stack, embedded_stack, separate_stack
from tests.support.databases import PostgresTemplate


@pytest.fixture(scope="package")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """SQLite, and the API and the worker in one process."""
    with embedded_stack(tmp_path_factory.mktemp("embedded")) as stack:
        yield stack


@pytest.fixture(scope="package")
def separate(
    tmp_path_factory: pytest.TempPathFactory, postgres: PostgresTemplate
) -> Iterator[Stack]:
    """PostgreSQL, one API process and two worker processes."""
    with (
        postgres.empty() as database_url,
        separate_stack(tmp_path_factory.mktemp("separate"), database_url) as stack,
    ):
        yield stack


@pytest.fixture(scope="package", params=["embedded", "separate"])
def stack(request: pytest.FixtureRequest) -> Stack:
    """The product, each way of running it in turn."""
    running: Stack = request.getfixturevalue(request.param)
    return running


@pytest.fixture
def caller(stack: Stack) -> Iterator[Caller]:
    """A customer with an empty workspace, and Meta as it was at the first moment."""
    stack.meta.reset()
    with stack.caller() as customer:
        yield customer
    stack.meta.reset()
    # What a test taught the workers of Meta's limits is untrue from now on.
    stack.forget_limits()
