"""What Meta may send in a row is stored, whatever it is: JSON in the database is no weak spot."""

from typing import Any

import pytest
from sqlalchemy import select

from partner_connector.db.engine import Database
from partner_connector.db.models import AssetShare, SyncJob
from partner_connector.worker.meta.access import AccessRead
from partner_connector.worker.meta.shared_assets import AssetToRead
from tests.sync.checks import Checked, World, a_partner

ODD = "Nul \x00, half \ud83d, whole \U0001f600, “quotes” \\ ' \" \u2028"


@pytest.mark.parametrize(
    "row",
    [
        {"id": "901", "name": ODD, "tasks": ["ANALYZE", "AN\x00ALYZE"]},
        {"id": 901, "name": {"no": "text"}, "tasks": "MANAGE", "user_type": ["?"]},
        {"id": "901", "name": None, "tasks": [1, None, {"a": 1}]},
        {"id": "901", "tasks": None},
    ],
)
async def test_any_row_is_stored(database: Database, row: dict[str, Any]) -> None:
    """A person with access is shown, with or without a usable name and tasks."""
    partner = await a_partner(database)

    await checked(partner, row)

    (user,) = (await partner.users()).values()
    assert user["meta_user_id"] == "901"
    assert len(user["grants"]) == 1
    assert "\x00" not in user["name"]


async def test_the_same_people_in_another_order_are_no_news(database: Database) -> None:
    """Nothing is staged of an asset whose people are as they were; a new task is seen."""
    partner = await a_partner(database)
    ada = {"id": "901", "name": "Ada", "tasks": ["ANALYZE", "ADVERTISE"]}
    eve = {"id": "902", "name": "Eve \U0001f600", "tasks": []}
    await checked(partner, ada, eve)
    digest = await digest_of(partner)
    assert digest is not None

    job = await checked(partner, eve, {**ada, "tasks": ["ADVERTISE", "ANALYZE"]})

    assert (job.seen, job.unchanged) == (2, 2)
    assert await digest_of(partner) == digest
    job = await checked(partner, ada, {**eve, "tasks": ["ANALYZE"]})
    assert (job.changed, job.unchanged) == (1, 1)
    assert await digest_of(partner) not in {digest, None}


async def test_a_partial_check_forgets_what_it_changed(database: Database) -> None:
    """Somebody who left meanwhile is removed by the next whole check, though nothing is new."""
    partner = await a_partner(database)
    tasks = ("ANALYZE",)
    both = {"901": tasks, "902": tasks}
    await partner.check(World({"11": both, "12": {"901": tasks}}, {}))

    left = World({"11": {"901": tasks}, "12": {"901": tasks}}, {})
    partial = await partner.check(left, refused=frozenset({"12"}))
    assert (partial.partial, partial.removed) == (False, 0)
    assert len(await partner.users()) == 2
    whole = await partner.check(left)

    assert whole.removed == 1
    assert [user["meta_user_id"] for user in (await partner.users()).values()] == ["901"]


async def checked(partner: Checked, *rows: dict[str, Any]) -> SyncJob:
    """A check of one asset with these rows as Meta sent them."""
    return await partner.check(
        World({"11": {}}, {}), raw=[AccessRead(AssetToRead("page", "11", "P"), list(rows))]
    )


async def digest_of(partner: Checked) -> str | None:
    """What the people of the one asset are remembered by."""
    async with partner.database.reading() as session:
        query = select(AssetShare.access_digest).where(AssetShare.partner_id == partner.partner_id)
        return await session.scalar(query)
