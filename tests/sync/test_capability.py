"""A token that sees less than at the last complete check removes nobody, until that is accepted."""

from collections.abc import Mapping
from typing import Any

import pytest

from partner_connector.db.engine import Database
from partner_connector.db.models import Capability, SyncJob
from partner_connector.worker.sync.apply.capability import what_shrank
from tests.sync.checks import Checked, World, a_partner

OWN = "800"
SCOPES = ("ads_management", "business_management")
ALL = {"ads_management": None}

PROVEN: dict[str, Any] = {
    "scopes": list(SCOPES),
    "granular": {"ads_management": ["1", "2"], "business_management": None},
    "role": "ADMIN",
    "assets": {"page:11": True, "page:12": False},
}
LISTED = {"page:11", "page:12"}


def world(
    *people: str, role: str = "ADMIN", own: Mapping[str, tuple[str, ...]] | None = None
) -> World:
    """Two assets with these people on the first, and the system user on both."""
    own = {"11": ("MANAGE",), "12": ("MANAGE",)} if own is None else own
    assigned: dict[str, dict[str, tuple[str, ...]]] = {
        "11": dict.fromkeys(people, ("ANALYZE",)),
        "12": {"899": ("ANALYZE",)},
    }
    for asset, tasks in own.items():
        assigned[asset][OWN] = tasks
    system_user = {"id": OWN, "name": "Connector", "role": role, "kind": "system_user"}
    return World(assigned, {OWN: system_user})


async def connected(database: Database) -> Checked:
    """Checked once with everything in sight."""
    partner = await a_partner(database)
    await partner.with_token(
        scopes=list(SCOPES), granular_scopes=ALL, system_user_id=OWN, system_user_role="ADMIN"
    )
    job = await partner.check(world("901", "902"), scopes=SCOPES, granular=ALL)
    assert (job.status, job.partial, job.warnings) == ("completed", False, [])
    return partner


@pytest.mark.parametrize(
    ("observed", "words"),
    [
        ({"scopes": ["ads_management"]}, "business_management is gone"),
        ({"granular": {"ads_management": ["1"]}}, "ads_management covers fewer assets"),
        ({"granular": {"business_management": ["9"]}}, "business_management covers fewer assets"),
        ({"granular": None}, "what its permissions cover was not shown"),
        ({"role": "EMPLOYEE"}, "the system user is EMPLOYEE where it was ADMIN"),
        ({"role": None}, "the system user's role, which was ADMIN, was not shown"),
        ({"assets": {"page:12": False}}, "page:11"),
        ({"assets": {"page:11": False, "page:12": True}}, "page:11"),
    ],
)
def test_each_way_to_see_less_is_told(observed: dict[str, Any], words: str) -> None:
    """Scopes, their targets, the role, and the assets, each alone."""
    (told,) = what_shrank(PROVEN, {**PROVEN, **observed}, LISTED)
    assert words in told


@pytest.mark.parametrize(
    "observed",
    [
        {},
        {"scopes": None},
        {"scopes": [*SCOPES, "pages_show_list"], "granular": {"ads_management": None}},
        {
            "scopes": [*SCOPES, "pages_show_list"],
            "granular": {**PROVEN["granular"], "pages_show_list": ["7"]},
        },
        {"assets": {"page:11": True, "page:12": True, "page:13": True}},
    ],
)
def test_as_much_or_unknown_is_not_less(observed: dict[str, Any]) -> None:
    """More is not less, and what Meta did not show is warned of elsewhere."""
    assert what_shrank(PROVEN, {**PROVEN, **observed}, LISTED) == []


def test_an_asset_that_is_no_longer_shared_is_not_missed() -> None:
    """Whether its share really ended is asked of its owner, not of the token."""
    assert what_shrank(PROVEN, {**PROVEN, "assets": {"page:12": False}}, {"page:12"}) == []


async def lose_a_scope(partner: Checked) -> SyncJob:
    return await partner.check(world("901"), scopes=SCOPES[:1], granular=ALL)


async def lose_the_role(partner: Checked) -> SyncJob:
    return await partner.check(world("901", role="EMPLOYEE"), scopes=SCOPES, granular=ALL)


async def lose_an_asset(partner: Checked) -> SyncJob:
    return await partner.check(world("901", own={"11": ("MANAGE",)}), scopes=SCOPES, granular=ALL)


async def lose_full_control(partner: Checked) -> SyncJob:
    own = {"11": ("ANALYZE",), "12": ("MANAGE",)}
    return await partner.check(world("901", own=own), scopes=SCOPES, granular=ALL)


@pytest.mark.parametrize("lose", [lose_a_scope, lose_the_role, lose_an_asset, lose_full_control])
async def test_nobody_is_removed_by_a_token_that_sees_less(database: Database, lose: Any) -> None:
    """902 is not seen any more; it stays until somebody accepts the narrower view."""
    partner = await connected(database)

    for _ in range(2):
        job = await lose(partner)
        assert (job.status, job.partial, job.removed) == ("completed", True, 0)
        assert [warning["code"] for warning in job.warnings] == ["token_narrowed"]
        assert people(await partner.users()) == {"901", "902", "899", OWN}

    await accept(partner)
    job = await lose(partner)

    assert (job.status, job.partial, job.removed) == ("completed", False, 1)
    assert people(await partner.users()) == {"901", "899", OWN}


async def test_a_view_that_comes_back_needs_no_word(database: Database) -> None:
    """Once the token sees as much as before, removals work again."""
    partner = await connected(database)
    await lose_a_scope(partner)

    job = await partner.check(world("901"), scopes=SCOPES, granular=ALL)

    assert (job.partial, job.removed) == (False, 1)
    assert (await partner.capability()).narrowed == []


async def accept(partner: Checked) -> None:
    """What accepting a narrowing does to the row."""
    async with partner.database.writing() as session:
        row = await session.get_one(Capability, partner.partner_id)
        assert row.narrowed != []
        row.proven, row.narrowed = row.observed, []


def people(users: dict[str, Any]) -> set[str]:
    """Those who are shown, by Meta's id."""
    return {user["meta_user_id"] for user in users.values()}
