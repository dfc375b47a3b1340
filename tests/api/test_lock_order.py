"""Transactions that find out late what they lock: PostgreSQL would end one of two that deadlock."""

import asyncio

import httpx
import pytest
from sqlalchemy import update

from partner_connector.db.engine import Database
from partner_connector.db.locks import lock_job, lock_partner, lock_partner_jobs
from partner_connector.db.models import Partner, SyncJob
from partner_connector.ids import encode
from tests.api import rows
from tests.api.world import World

ONLY_POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


async def _apply_list(database: Database, job: SyncJob) -> None:
    """As a check of all partners does: the jobs of the partners, and then the partners."""
    async with database.writing() as session:
        await lock_partner_jobs.all(session, SyncJob.id == job.id)
        await asyncio.sleep(0.5)
        renamed = update(Partner).where(Partner.id == job.partner_id).values(name="Renamed")
        await session.execute(renamed)


@ONLY_POSTGRESQL
async def test_a_disconnect_beside_a_check_that_halts(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """The halted job is locked before the partner, though the partner was waited for first."""
    job = rows.sync_job(world.partner, status="running")
    await rows.store(database, job)
    async with database.writing() as check:
        mine = await lock_job(check, job.id)
        assert mine is not None
        await lock_partner(check, world.partner.id)
        url = f"/v1/partners/{encode('ptn', world.partner.id)}/token"
        disconnecting = asyncio.create_task(api.delete(url))
        listing = asyncio.create_task(_apply_list(database, job))
        await asyncio.sleep(0.5)
        mine.status, mine.plan = "halted", rows.plan(world.token)
    await listing
    assert (await disconnecting).status_code == 200
    async with database.reading() as session:
        assert (await session.get_one(SyncJob, job.id)).status == "cancelled"
        assert (await session.get_one(Partner, world.partner.id)).name == "Renamed"


@ONLY_POSTGRESQL
async def test_deleting_an_integration_beside_a_verdict(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """The verdict holds the partner and starts a job, which refers to the integration."""
    async with database.writing() as verdict:
        await lock_partner(verdict, world.partner.id)
        url = f"/v1/integrations/{encode('int', world.integration.id)}"
        deleting = asyncio.create_task(api.delete(url))
        await asyncio.sleep(0.5)
        verdict.add(rows.sync_job(world.partner, status="queued"))
    assert (await deleting).status_code == 204
    async with database.reading() as session:
        assert await session.get(Partner, world.partner.id) is None
