"""Liveness (`/livez`) and readiness (`/readyz`)."""

import asyncio

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from partner_connector.db.engine import Database

pytestmark = pytest.mark.by_day("sqlite")


async def test_probes_need_no_api_key(anonymous: httpx.AsyncClient) -> None:
    for path in ("/livez", "/readyz"):
        answer = await anonymous.get(path)
        assert answer.status_code == 200
        assert answer.json()["status"] == "ok"


async def test_not_ready_while_migrations_are_missing(
    anonymous: httpx.AsyncClient, database: Database
) -> None:
    """Remove the database's version: the process is not ready, but still alive."""
    async with database.writing() as session:
        await session.execute(text("DELETE FROM alembic_version"))
    answer = await anonymous.get("/readyz")
    assert answer.status_code == 503
    assert "migrations" in answer.text
    assert (await anonymous.get("/livez")).status_code == 200


async def test_ready_after_later_release_has_migrated(
    anonymous: httpx.AsyncClient, database: Database
) -> None:
    """Set a later version: during an upgrade the earlier release must keep serving."""
    async with database.writing() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = 'of_next_year'"))
    assert (await anonymous.get("/readyz")).status_code == 200


async def test_not_ready_while_draining(anonymous: httpx.AsyncClient, app: FastAPI) -> None:
    """Start draining: readiness fails, but requests are still served."""
    app.state.context.draining.set()
    answer = await anonymous.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["code"] == "not_ready"
    for path in ("/livez", "/openapi.json"):
        assert (await anonymous.get(path)).status_code == 200


async def test_ready_while_database_is_locked_for_writing(
    anonymous: httpx.AsyncClient, database: Database
) -> None:
    """Probe during a write transaction: the probe takes no write lock."""
    async with database.writing() as session:
        await session.execute(text("UPDATE workspaces SET name = name"))
        probe = asyncio.create_task(anonymous.get("/readyz"))
        answered, _ = await asyncio.wait({probe}, timeout=2)
    assert (await probe).status_code == 200
    assert answered, "the probe waited for the writer"
