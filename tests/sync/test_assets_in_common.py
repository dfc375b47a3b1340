"""Two partners with the same shared asset: their checks run at once and store one asset."""

import asyncio

from partner_connector.db.engine import Database
from partner_connector.db.models import Partner, SyncJob
from partner_connector.ids import new_id
from partner_connector.worker.sync.apply.users import apply_users
from tests.journey.replay import replay, shown
from tests.sync.checks import CheckedPartner, World, make_partner

WAIT_SECONDS = 0.5


def world_of(person: str) -> World:
    """Return a world with this user on the asset that both partners have."""
    facts = {"id": person, "name": "Ada", "email": None}
    return World({"11": {person: ("ANALYZE",)}}, {person: facts})


async def another_partner_of_integration(partner: CheckedPartner) -> CheckedPartner:
    """Store another partner of the same integration."""
    other = Partner(
        id=new_id(),
        workspace_id=partner.workspace_id,
        integration_id=partner.integration_id,
        meta_business_id="201",
        name="Another partner",
        relationship="agency",
    )
    async with partner.database.writing() as session:
        session.add(other)
    return CheckedPartner(partner.database, partner.workspace_id, partner.integration_id, other.id)


async def stage_check(partner: CheckedPartner, world: World) -> SyncJob:
    """Stage a check without applying it."""
    job = SyncJob(
        id=new_id(),
        workspace_id=partner.workspace_id,
        integration_id=partner.integration_id,
        partner_id=partner.partner_id,
        task="sync_partner",
        trigger="api",
    )
    async with partner.database.writing() as session:
        session.add(job)
    await partner._stage(job.id, world, frozenset())
    return job


async def test_two_checks_of_same_new_asset_store_it_once(database: Database) -> None:
    """Let the second check wait for the first check's row, and use it."""
    first = await make_partner(database)
    second = await another_partner_of_integration(first)
    jobs = [await stage_check(first, world_of("901")), await stage_check(second, world_of("902"))]

    async with database.writing() as session:
        await apply_users(session, await session.get_one(SyncJob, jobs[0].id), None)
        waiting = asyncio.create_task(second.apply(jobs[1].id))
        await asyncio.sleep(WAIT_SECONDS)
        assert not waiting.done()

    assert (await waiting).status == "completed"
    (ada,), (other_ada,) = [list((await one.users()).values()) for one in (first, second)]
    assert ada["grants"][0]["asset"] == other_ada["grants"][0]["asset"]
    for partner in (first, second):
        replayed = replay(await partner.feed())
        assert replayed.wrong == []
        assert replayed.shown() == shown((await partner.users()).values())
