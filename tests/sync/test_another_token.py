"""A token replaced in the middle of a check: what the old one read is not judged by the new."""

import pytest

from partner_connector.db.engine import Database
from partner_connector.db.models import StagedAsset, SyncJob
from partner_connector.ids import new_id
from partner_connector.worker.sync import progress
from partner_connector.worker.sync.step_runner import _reads_with_another_token
from partner_connector.worker.sync.target import load_target
from tests.sync.checks import World, a_partner


@pytest.mark.parametrize(("is_same", "expected"), [(True, False), (False, True), (None, False)])
async def test_the_reading_token_is_remembered(
    database: Database, is_same: bool | None, expected: bool
) -> None:
    """Read with this token, with another one, or not begun to read."""
    partner = await a_partner(database)
    await partner.with_token(system_user_id="800")
    job = await partner.check(World({"11": {"901": ("ANALYZE",)}}, {}))

    async with database.reading() as session:
        target = await load_target(session, job)
    assert target.partner_token is not None
    job.read_with = {True: target.partner_token.id, False: new_id(), None: None}[is_same]

    assert _reads_with_another_token(job, target) is expected


async def test_what_another_token_read_is_read_again(database: Database) -> None:
    """No asset counts as read, and no plan stands."""
    partner = await a_partner(database, safeguard_percent=0)
    people = dict.fromkeys(("901", "902", "903"), ("ANALYZE",))
    await partner.check(World({"11": people}, {}))
    halted = await partner.check(World({"11": {}}, {}))
    assert halted.status == "halted"

    async with database.writing() as session:
        job = await session.get_one(SyncJob, halted.id)
        job.approved_plan = "digest"
        await progress.forget_what_was_read(session, job)

    async with database.reading() as session:
        asset = await session.get_one(StagedAsset, (halted.id, "page", "11"))
        job = await session.get_one(SyncJob, halted.id)
    assert asset.state == "unread"
    assert (job.plan, job.approved_plan, job.read_with) == (None, None, None)
