"""Staging of any row that Meta can send, with malformed text and values."""

from typing import Any

import pytest
from sqlalchemy import select

from partner_connector.db.engine import Database
from partner_connector.db.models import AssetShare, SyncJob
from partner_connector.worker.meta.access import AccessRead
from partner_connector.worker.meta.shared_assets import AssetToRead
from tests.sync.checks import CheckedPartner, World, make_partner

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
    """Show a user with access, with or without a usable name and tasks."""
    partner = await make_partner(database)

    await check_rows(partner, row)

    (user,) = (await partner.users()).values()
    assert user["meta_user_id"] == "901"
    assert len(user["grants"]) == 1
    assert "\x00" not in user["name"]


async def test_same_users_in_another_order_are_unchanged(database: Database) -> None:
    """Stage nothing for an asset whose users are unchanged, and notice a new task."""
    partner = await make_partner(database)
    ada = {"id": "901", "name": "Ada", "tasks": ["ANALYZE", "ADVERTISE"]}
    eve = {"id": "902", "name": "Eve \U0001f600", "tasks": []}
    await check_rows(partner, ada, eve)
    digest = await access_digest(partner)
    assert digest is not None

    job = await check_rows(partner, eve, {**ada, "tasks": ["ADVERTISE", "ANALYZE"]})

    assert (job.seen, job.unchanged) == (2, 2)
    assert await access_digest(partner) == digest
    job = await check_rows(partner, ada, {**eve, "tasks": ["ANALYZE"]})
    assert (job.changed, job.unchanged) == (1, 1)
    assert await access_digest(partner) not in {digest, None}


async def test_partial_check_resets_digest_of_changed_assets(database: Database) -> None:
    """Remove a user who left at the next complete check, though its rows are unchanged."""
    partner = await make_partner(database)
    tasks = ("ANALYZE",)
    both = {"901": tasks, "902": tasks}
    await partner.check(World({"11": both, "12": {"901": tasks}}, {}))

    after_removal = World({"11": {"901": tasks}, "12": {"901": tasks}}, {})
    partial_check = await partner.check(after_removal, refused=frozenset({"12"}))
    assert (partial_check.partial, partial_check.removed) == (False, 0)
    assert len(await partner.users()) == 2
    complete_check = await partner.check(after_removal)

    assert complete_check.removed == 1
    assert [user["meta_user_id"] for user in (await partner.users()).values()] == ["901"]


async def check_rows(partner: CheckedPartner, *rows: dict[str, Any]) -> SyncJob:
    """Check one asset with these rows as Meta sent them."""
    return await partner.check(
        World({"11": {}}, {}), raw=[AccessRead(AssetToRead("page", "11", "P"), list(rows))]
    )


async def access_digest(partner: CheckedPartner) -> str | None:
    """Return the stored digest of the asset's users."""
    async with partner.database.reading() as session:
        query = select(AssetShare.access_digest).where(AssetShare.partner_id == partner.partner_id)
        return await session.scalar(query)
