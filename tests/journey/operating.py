"""Operations on a running product of separate processes, besides its own commands."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, LiteralString

import psycopg

from tests.journey.stacks import Stack


@contextmanager
def one_more_worker(stack: Stack) -> Iterator[None]:
    """Run one more worker, which cleans up at its start, until the block ends."""
    running = stack.add_worker()
    yield
    (executor,) = (key for key, worker in stack.workers.items() if worker is running)
    del stack.workers[executor]
    assert running.stop() == 0


def query(stack: Stack, statement: LiteralString, *values: Any) -> list[tuple[Any, ...]]:
    """Run one statement on the product's PostgreSQL, and return its rows."""
    assert stack.database_url is not None
    with psycopg.connect(stack.database_url) as server:
        done = server.execute(statement, values)
        return done.fetchall() if done.description else []


def staged(stack: Stack, job_id: Any) -> int:
    """Count the staged rows of a job."""
    tables: tuple[LiteralString, ...] = (
        "staged_assets",
        "staged_users",
        "staged_grants",
        "planned_changes",
    )
    counts = [
        query(stack, f"SELECT count(*) FROM {table} WHERE job_id = %s", job_id)  # noqa: S608
        for table in tables
    ]
    return sum(int(rows[0][0]) for rows in counts)
