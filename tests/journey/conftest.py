"""Two running products for the package, and an empty workspace for each test.

A test that asks for `stack` or `caller` runs against both products; a test that parametrizes
`stack` indirectly chooses one. The simulated Meta is reset before each test.
"""

from collections.abc import Iterator

import pytest

from tests.journey.caller import Caller
from tests.journey.stacks import Stack, embedded_stack, separate_stack
from tests.support.databases import PostgresTemplate


@pytest.fixture(scope="package")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Product on SQLite, with the API and the worker in one process."""
    with embedded_stack(tmp_path_factory.mktemp("embedded")) as stack:
        yield stack


@pytest.fixture(scope="package")
def separate(
    tmp_path_factory: pytest.TempPathFactory, postgres: PostgresTemplate
) -> Iterator[Stack]:
    """Product on PostgreSQL, with one API process and two worker processes."""
    with (
        postgres.empty() as database_url,
        separate_stack(tmp_path_factory.mktemp("separate"), database_url) as stack,
    ):
        yield stack


@pytest.fixture(scope="package", params=["embedded", "separate"])
def stack(request: pytest.FixtureRequest) -> Stack:
    """Product in each of its two ways to run."""
    running: Stack = request.getfixturevalue(request.param)
    return running


@pytest.fixture
def caller(stack: Stack) -> Iterator[Caller]:
    """Customer with an empty workspace, and the simulated Meta in its initial state."""
    stack.meta.reset()
    with stack.caller() as customer:
        yield customer
    stack.meta.reset()
    # The limits that workers learned from Meta in this test no longer apply.
    stack.forget_limits()
