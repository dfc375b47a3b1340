"""Lock order of transactions that learn late what they must lock; a wrong order deadlocks."""

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


async def _apply_partner_list(database: Database, job: SyncJob) -> None:
    """Lock the partners' jobs and then update a partner, like a check of all partners."""
    async with database.writing() as session:
        await lock_partner_jobs.all(session, SyncJob.id == job.id)
        await asyncio.sleep(0.5)
        renamed = update(Partner).where(Partner.id == job.partner_id).values(name="Renamed")
        await session.execute(renamed)


@ONLY_POSTGRESQL
async def test_disconnect_locks_halted_job_before_partner(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """Disconnect while a check holds the partner and halts."""
    job = rows.sync_job(world.partner, status="running")
    await rows.store(database, job)
    async with database.writing() as check:
        locked = await lock_job(check, job.id)
        assert locked is not None
        await lock_partner(check, world.partner.id)
        url = f"/v1/partners/{encode('ptn', world.partner.id)}/token"
        disconnecting = asyncio.create_task(api.delete(url))
        applying_list = asyncio.create_task(_apply_partner_list(database, job))
        await asyncio.sleep(0.5)
        locked.status, locked.plan = "halted", rows.plan(world.token)
    await applying_list
    assert (await disconnecting).status_code == 200
    async with database.reading() as session:
        assert (await session.get_one(SyncJob, job.id)).status == "cancelled"
        assert (await session.get_one(Partner, world.partner.id)).name == "Renamed"


@ONLY_POSTGRESQL
async def test_deletion_of_integration_waits_for_verdict(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """Delete the integration while a verdict holds the partner and starts a job for it."""
    async with database.writing() as verdict:
        await lock_partner(verdict, world.partner.id)
        url = f"/v1/integrations/{encode('int', world.integration.id)}"
        deleting = asyncio.create_task(api.delete(url))
        await asyncio.sleep(0.5)
        verdict.add(rows.sync_job(world.partner, status="queued"))
    assert (await deleting).status_code == 204
    async with database.reading() as session:
        assert await session.get(Partner, world.partner.id) is None
