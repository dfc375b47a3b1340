"""A token that is replaced during a check: rows that the old token read are read again."""

import pytest

from partner_connector.db.engine import Database
from partner_connector.db.models import StagedAsset, SyncJob
from partner_connector.ids import new_id
from partner_connector.worker.sync import progress
from partner_connector.worker.sync.step_runner import _reads_with_another_token
from partner_connector.worker.sync.target import load_target
from tests.sync.checks import World, make_partner


@pytest.mark.parametrize(("is_same", "expected"), [(True, False), (False, True), (None, False)])
async def test_job_records_the_token_that_read(
    database: Database, is_same: bool | None, expected: bool
) -> None:
    """Compare with this token, another token, and a job that has read nothing."""
    partner = await make_partner(database)
    await partner.add_token(system_user_id="800")
    job = await partner.check(World({"11": {"901": ("ANALYZE",)}}, {}))

    async with database.reading() as session:
        target = await load_target(session, job)
    assert target.partner_token is not None
    job.read_with = {True: target.partner_token.id, False: new_id(), None: None}[is_same]

    assert _reads_with_another_token(job, target) is expected


async def test_reads_of_another_token_are_discarded(database: Database) -> None:
    """Discard the read assets and the plan."""
    partner = await make_partner(database, safeguard_percent=0)
    people = dict.fromkeys(("901", "902", "903"), ("ANALYZE",))
    await partner.check(World({"11": people}, {}))
    halted = await partner.check(World({"11": {}}, {}))
    assert halted.status == "halted"

    async with database.writing() as session:
        job = await session.get_one(SyncJob, halted.id)
        job.approved_plan = "digest"
        await progress.discard_reads(session, job)

    async with database.reading() as session:
        asset = await session.get_one(StagedAsset, (halted.id, "page", "11"))
        job = await session.get_one(SyncJob, halted.id)
    assert asset.state == "unread"
    assert (job.plan, job.approved_plan, job.read_with) == (None, None, None)
