"""The safeguard: a check that would remove many users halts with a plan and applies nothing."""

import pytest
from sqlalchemy import select

from partner_connector.db.engine import Database
from partner_connector.db.models import PlannedChange, SyncJob
from partner_connector.worker.sync.apply.safeguard import is_allowed
from tests.journey.replay import replay, shown
from tests.sync.checks import CheckedPartner, World, make_partner

TASKS = ("ANALYZE",)


def world_of(*people: str, name: str = "Ada") -> World:
    """Return a world with these users on one asset."""
    return World(
        {"11": dict.fromkeys(people, TASKS)},
        {person: {"id": person, "name": name, "email": None} for person in people},
    )


TEN = tuple(str(900 + number) for number in range(10))


@pytest.mark.parametrize(
    ("leavers", "users", "percent", "allowed"),
    [
        (2, 10, 20, True),
        (3, 10, 20, False),
        (1, 2, 20, True),
        (1, 1, 20, False),
        (1, 3, 0, True),
        (10, 10, 99, False),
        (10, 10, 100, True),
    ],
)
def test_safeguard_allows_a_share_of_removals(
    leavers: int, users: int, percent: int, *, allowed: bool
) -> None:
    """Round down. Always allow one removal, and never all of the users below 100 percent."""
    assert is_allowed(leavers, users, percent) is allowed


async def test_too_many_removals_halt_without_changes(database: Database) -> None:
    """List every change in the plan; keep users, grants and feed."""
    partner = await make_partner(database, safeguard_percent=20)
    await partner.check(world_of(*TEN))
    before, feed = await partner.users(), await partner.feed()

    job = await partner.check(world_of(*TEN[:7], "999", name="Changed"))

    assert job.status == "halted"
    assert job.plan is not None
    assert (job.plan["users"], job.plan["removals"], job.plan["percent"]) == (10, 3, 20)
    assert job.plan["counts"]["user_left"] == 3
    assert job.plan["counts"]["user_joined"] == 1
    assert job.plan["counts"]["user_name_changed"] == 7
    assert job.finished_at is None
    assert (await partner.users(), await partner.feed()) == (before, feed)
    planned = await planned_changes(partner, job)
    assert [kind for kind, _ in planned].count("access_revoked") == 3


async def test_approved_plan_is_applied_exactly(database: Database) -> None:
    """Expect the feed to equal the plan, in its order."""
    partner = await make_partner(database, safeguard_percent=20)
    await partner.check(world_of(*TEN))
    known = len(await partner.feed())
    halted = await partner.check(world_of(*TEN[:5]))
    planned = await planned_changes(partner, halted)

    job = await partner.approve(halted)

    assert (job.status, job.removed, job.partial) == ("completed", 5, False)
    feed = await partner.feed()
    assert [(item["kind"], item["before"]) for item in feed[known:]] == planned
    users = await partner.users()
    assert {user["meta_user_id"] for user in users.values()} == set(TEN[:5])
    replayed = replay(feed)
    assert (replayed.wrong, replayed.shown()) == ([], shown(users.values()))


async def test_outdated_plan_halts_again(database: Database) -> None:
    """Halt with another plan when the stored users changed after the approval."""
    partner = await make_partner(database, safeguard_percent=20)
    await partner.check(world_of(*TEN))
    halted = await partner.check(world_of(*TEN[:5]))
    # Another check removes one of the users in the meantime.
    async with database.writing() as session:
        removed = await session.scalar(
            select(PlannedChange).where(
                PlannedChange.job_id == halted.id, PlannedChange.kind == "user_left"
            )
        )
        assert removed is not None
    await partner.delete_user(removed.partner_user_id)

    job = await partner.approve(halted)

    assert job.status == "halted"
    assert job.plan is not None
    assert halted.plan is not None
    assert job.plan["digest"] != halted.plan["digest"]
    assert (job.plan["removals"], job.approved_plan) == (4, None)
    assert len(await partner.users()) == 9


async def test_partial_check_needs_no_plan(database: Database) -> None:
    """Remove no user, so that there is nothing to approve."""
    partner = await make_partner(database, safeguard_percent=0)
    await partner.check(world_of(*TEN))

    job = await partner.check(world_of(TEN[0]), refused=frozenset({"11"}))

    assert (job.status, job.removed) == ("completed", 0)
    assert len(await partner.users()) == 10


async def planned_changes(partner: CheckedPartner, job: SyncJob) -> list[tuple[str, object]]:
    """Return kind and `before` of each planned change, in order."""
    async with partner.database.reading() as session:
        rows = await session.execute(
            select(PlannedChange.kind, PlannedChange.before)
            .where(PlannedChange.job_id == job.id)
            .order_by(PlannedChange.id)
        )
        return [(kind, before) for kind, before in rows]
