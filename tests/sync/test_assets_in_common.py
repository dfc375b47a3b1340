"""Partners to whom the same asset is shared: their checks run side by side, and it is one asset."""

import asyncio

from partner_connector.db.engine import Database
from partner_connector.db.models import Partner, SyncJob
from partner_connector.ids import new_id
from partner_connector.worker.sync.apply.users import apply_users
from tests.journey.replay import replay, shown
from tests.sync.checks import Checked, World, a_partner

LONG_ENOUGH_TO_WAIT = 0.5


def of(person: str) -> World:
    """This person on the asset that both partners have."""
    facts = {"id": person, "name": "Ada", "email": None}
    return World({"11": {person: ("ANALYZE",)}}, {person: facts})


async def with_the_same_business(partner: Checked) -> Checked:
    """Another partner of it."""
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
    return Checked(partner.database, partner.workspace_id, partner.integration_id, other.id)


async def read(partner: Checked, world: World) -> SyncJob:
    """A check that has read all of it, and applied nothing."""
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


async def test_two_checks_find_the_same_new_asset(database: Database) -> None:
    """The one that comes second waits for the first one's row, and takes it for its own."""
    first = await a_partner(database)
    second = await with_the_same_business(first)
    jobs = [await read(first, of("901")), await read(second, of("902"))]

    async with database.writing() as session:
        await apply_users(session, await session.get_one(SyncJob, jobs[0].id), None)
        waits = asyncio.create_task(second.apply(jobs[1].id))
        await asyncio.sleep(LONG_ENOUGH_TO_WAIT)
        assert not waits.done()

    assert (await waits).status == "completed"
    (ada,), (other_ada,) = [list((await one.users()).values()) for one in (first, second)]
    assert ada["grants"][0]["asset"] == other_ada["grants"][0]["asset"]
    for partner in (first, second):
        replayed = replay(await partner.feed())
        assert replayed.wrong == []
        assert replayed.shown() == shown((await partner.users()).values())
