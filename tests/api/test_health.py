"""`/livez` and `/readyz`."""

import asyncio

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from partner_connector.db.engine import Database

pytestmark = pytest.mark.by_day("sqlite")


async def test_both_answer_without_a_key(anonymous: httpx.AsyncClient) -> None:
    """A load balancer needs no credential."""
    for path in ("/livez", "/readyz"):
        answer = await anonymous.get(path)
        assert answer.status_code == 200
        assert answer.json()["status"] == "ok"


async def test_not_ready_while_migrations_are_behind(
    anonymous: httpx.AsyncClient, database: Database
) -> None:
    """A database that is not at head takes the process out of rotation, and keeps it alive."""
    async with database.writing() as session:
        await session.execute(text("DELETE FROM alembic_version"))
    answer = await anonymous.get("/readyz")
    assert answer.status_code == 503
    assert "migrations" in answer.text
    assert (await anonymous.get("/livez")).status_code == 200


async def test_ready_while_a_later_release_has_migrated(
    anonymous: httpx.AsyncClient, database: Database
) -> None:
    """An upgrade migrates first: whoever runs the release before serves on until it is replaced."""
    async with database.writing() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = 'of_next_year'"))
    assert (await anonymous.get("/readyz")).status_code == 200


async def test_not_ready_once_it_leaves(anonymous: httpx.AsyncClient, app: FastAPI) -> None:
    """A balancer is told before anything is refused; whoever comes all the same is served."""
    app.state.context.leaving.set()
    answer = await anonymous.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["code"] == "not_ready"
    for path in ("/livez", "/openapi.json"):
        assert (await anonymous.get(path)).status_code == 200


async def test_ready_while_someone_writes(anonymous: httpx.AsyncClient, database: Database) -> None:
    """A probe takes no write lock, so a long transaction does not take the process out."""
    async with database.writing() as session:
        await session.execute(text("UPDATE workspaces SET name = name"))
        probe = asyncio.create_task(anonymous.get("/readyz"))
        answered, _ = await asyncio.wait({probe}, timeout=2)
    assert (await probe).status_code == 200
    assert answered, "the probe waited for the writer"
