"""A token that sees less than at the last complete check removes no user until this is accepted."""

from collections.abc import Mapping
from typing import Any

import pytest

from partner_connector.db.engine import Database
from partner_connector.db.models import Capability, SyncJob
from partner_connector.worker.sync.apply.capability import narrowing_texts
from tests.sync.checks import CheckedPartner, World, make_partner

SYSTEM_USER = "800"
SCOPES = ("ads_management", "business_management")
ALL = {"ads_management": None}

CONFIRMED: dict[str, Any] = {
    "scopes": list(SCOPES),
    "granular": {"ads_management": ["1", "2"], "business_management": None},
    "role": "ADMIN",
    "assets": {"page:11": True, "page:12": False},
}
LISTED = {"page:11", "page:12"}


def world(
    *users: str,
    role: str = "ADMIN",
    system_user_tasks: Mapping[str, tuple[str, ...]] | None = None,
) -> World:
    """Return a world of two assets: these users on the first, and the system user on both."""
    system_user_tasks = (
        {"11": ("MANAGE",), "12": ("MANAGE",)} if system_user_tasks is None else system_user_tasks
    )
    assigned: dict[str, dict[str, tuple[str, ...]]] = {
        "11": dict.fromkeys(users, ("ANALYZE",)),
        "12": {"899": ("ANALYZE",)},
    }
    for asset, tasks in system_user_tasks.items():
        assigned[asset][SYSTEM_USER] = tasks
    system_user = {"id": SYSTEM_USER, "name": "Connector", "role": role, "kind": "system_user"}
    return World(assigned, {SYSTEM_USER: system_user})


async def connected_partner(database: Database) -> CheckedPartner:
    """Return a partner that was checked once while its token saw everything."""
    partner = await make_partner(database)
    await partner.add_token(
        scopes=list(SCOPES),
        granular_scopes=ALL,
        system_user_id=SYSTEM_USER,
        system_user_role="ADMIN",
    )
    job = await partner.check(world("901", "902"), scopes=SCOPES, granular=ALL)
    assert (job.status, job.partial, job.warnings) == ("completed", False, [])
    return partner


@pytest.mark.parametrize(
    ("observed", "words"),
    [
        ({"scopes": ["ads_management"]}, "no longer has the permission business_management"),
        ({"granular": {"ads_management": ["1"]}}, "ads_management covers fewer assets"),
        ({"granular": {"business_management": ["9"]}}, "business_management covers fewer assets"),
        ({"granular": None}, "its permissions cover was not shown"),
        ({"role": "EMPLOYEE"}, "role changed from ADMIN to EMPLOYEE"),
        ({"role": None}, "the system user's role, which was ADMIN, was not shown"),
        ({"assets": {"page:12": False}}, "page:11"),
        ({"assets": {"page:11": False, "page:12": True}}, "page:11"),
    ],
)
def test_each_narrowing_has_its_reason(observed: dict[str, Any], words: str) -> None:
    """Narrow scopes, their targets, the role and the assets, each alone."""
    (reason,) = narrowing_texts(CONFIRMED, {**CONFIRMED, **observed}, LISTED)
    assert words in reason


@pytest.mark.parametrize(
    "observed",
    [
        {},
        {"scopes": None},
        {"scopes": [*SCOPES, "pages_show_list"], "granular": {"ads_management": None}},
        {
            "scopes": [*SCOPES, "pages_show_list"],
            "granular": {**CONFIRMED["granular"], "pages_show_list": ["7"]},
        },
        {"assets": {"page:11": True, "page:12": True, "page:13": True}},
    ],
)
def test_wider_or_unknown_view_is_not_narrowed(observed: dict[str, Any]) -> None:
    """Leave unknown views to another warning."""
    assert narrowing_texts(CONFIRMED, {**CONFIRMED, **observed}, LISTED) == []


def test_asset_no_longer_shared_is_not_narrowing() -> None:
    """Ask the owner of the asset, not the token, whether its share ended."""
    assert (
        narrowing_texts(CONFIRMED, {**CONFIRMED, "assets": {"page:12": False}}, {"page:12"}) == []
    )


async def lose_a_scope(partner: CheckedPartner) -> SyncJob:
    return await partner.check(world("901"), scopes=SCOPES[:1], granular=ALL)


async def lose_the_role(partner: CheckedPartner) -> SyncJob:
    return await partner.check(world("901", role="EMPLOYEE"), scopes=SCOPES, granular=ALL)


async def lose_an_asset(partner: CheckedPartner) -> SyncJob:
    return await partner.check(
        world("901", system_user_tasks={"11": ("MANAGE",)}), scopes=SCOPES, granular=ALL
    )


async def lose_full_control(partner: CheckedPartner) -> SyncJob:
    system_user_tasks = {"11": ("ANALYZE",), "12": ("MANAGE",)}
    return await partner.check(
        world("901", system_user_tasks=system_user_tasks), scopes=SCOPES, granular=ALL
    )


@pytest.mark.parametrize("lose", [lose_a_scope, lose_the_role, lose_an_asset, lose_full_control])
async def test_narrowed_token_removes_no_user_until_accepted(database: Database, lose: Any) -> None:
    """Keep user 902, which the token no longer sees, until an operator accepts the narrowing."""
    partner = await connected_partner(database)

    for _ in range(2):
        job = await lose(partner)
        assert (job.status, job.partial, job.removed) == ("completed", True, 0)
        assert [warning["code"] for warning in job.warnings] == ["token_narrowed"]
        assert meta_user_ids(await partner.users()) == {"901", "902", "899", SYSTEM_USER}

    await accept_narrowing(partner)
    job = await lose(partner)

    assert (job.status, job.partial, job.removed) == ("completed", False, 1)
    assert meta_user_ids(await partner.users()) == {"901", "899", SYSTEM_USER}


async def test_view_that_comes_back_needs_no_acceptance(database: Database) -> None:
    """Remove users again once the token sees as much as before."""
    partner = await connected_partner(database)
    await lose_a_scope(partner)

    job = await partner.check(world("901"), scopes=SCOPES, granular=ALL)

    assert (job.partial, job.removed) == (False, 1)
    assert (await partner.capability()).narrowed == []


async def accept_narrowing(partner: CheckedPartner) -> None:
    """Change the row as accepting a narrowing does."""
    async with partner.database.writing() as session:
        row = await session.get_one(Capability, partner.partner_id)
        assert row.narrowed != []
        row.confirmed, row.narrowed = row.observed, []


def meta_user_ids(users: dict[str, Any]) -> set[str]:
    """Return the Meta ids of these users."""
    return {user["meta_user_id"] for user in users.values()}
