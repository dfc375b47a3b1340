"""A check that would remove many people halts with a plan, and nothing is applied meanwhile."""

import pytest
from sqlalchemy import select

from partner_connector.db.engine import Database
from partner_connector.db.models import PlannedChange, SyncJob
from partner_connector.worker.sync.apply.safeguard import is_allowed
from tests.journey.replay import replay, shown
from tests.sync.checks import Checked, World, a_partner

TASKS = ("ANALYZE",)


def of(*people: str, name: str = "Ada") -> World:
    """These people on one asset."""
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
def test_how_many_may_go(leavers: int, users: int, percent: int, *, allowed: bool) -> None:
    """A share of the users, rounded down; one may always go, all of them never by themselves."""
    assert is_allowed(leavers, users, percent) is allowed


async def test_more_than_allowed_halts_and_changes_nothing(database: Database) -> None:
    """The plan tells every change; users, grants and feed are as they were."""
    partner = await a_partner(database, safeguard_percent=20)
    await partner.check(of(*TEN))
    before, told = await partner.users(), await partner.feed()

    job = await partner.check(of(*TEN[:7], "999", name="Changed"))

    assert job.status == "halted"
    assert job.plan is not None
    assert (job.plan["users"], job.plan["removals"], job.plan["percent"]) == (10, 3, 20)
    assert job.plan["counts"]["user_left"] == 3
    assert job.plan["counts"]["user_joined"] == 1
    assert job.plan["counts"]["user_name_changed"] == 7
    assert job.finished_at is None
    assert (await partner.users(), await partner.feed()) == (before, told)
    planned = await plan_of(partner, job)
    assert [kind for kind, _ in planned].count("access_revoked") == 3


async def test_an_approved_plan_is_carried_out_to_the_letter(database: Database) -> None:
    """What the feed then tells is the plan, in its order, and the state is what was read."""
    partner = await a_partner(database, safeguard_percent=20)
    await partner.check(of(*TEN))
    known = len(await partner.feed())
    halted = await partner.check(of(*TEN[:5]))
    planned = await plan_of(partner, halted)

    job = await partner.approve(halted)

    assert (job.status, job.removed, job.partial) == ("completed", 5, False)
    feed = await partner.feed()
    assert [(item["kind"], item["before"]) for item in feed[known:]] == planned
    users = await partner.users()
    assert {user["meta_user_id"] for user in users.values()} == set(TEN[:5])
    replayed = replay(feed)
    assert (replayed.wrong, replayed.shown()) == ([], shown(users.values()))


async def test_a_plan_that_no_longer_fits_is_not_carried_out(database: Database) -> None:
    """What is known changed after somebody approved: the job halts again, with another plan."""
    partner = await a_partner(database, safeguard_percent=20)
    await partner.check(of(*TEN))
    halted = await partner.check(of(*TEN[:5]))
    # By the same account another check removed somebody meanwhile.
    async with database.writing() as session:
        gone = await session.scalar(
            select(PlannedChange).where(
                PlannedChange.job_id == halted.id, PlannedChange.kind == "user_left"
            )
        )
        assert gone is not None
    await partner.forget(gone.partner_user_id)

    job = await partner.approve(halted)

    assert job.status == "halted"
    assert job.plan is not None
    assert halted.plan is not None
    assert job.plan["digest"] != halted.plan["digest"]
    assert (job.plan["removals"], job.approved_plan) == (4, None)
    assert len(await partner.users()) == 9


async def test_who_is_not_seen_in_a_partial_check_needs_no_plan(database: Database) -> None:
    """Nobody would be removed, so there is nothing to ask."""
    partner = await a_partner(database, safeguard_percent=0)
    await partner.check(of(*TEN))

    job = await partner.check(of(TEN[0]), refused=frozenset({"11"}))

    assert (job.status, job.removed) == ("completed", 0)
    assert len(await partner.users()) == 10


async def plan_of(partner: Checked, job: SyncJob) -> list[tuple[str, object]]:
    """Kind and `before` of each planned change, in order."""
    async with partner.database.reading() as session:
        rows = await session.execute(
            select(PlannedChange.kind, PlannedChange.before)
            .where(PlannedChange.job_id == job.id)
            .order_by(PlannedChange.id)
        )
        return [(kind, before) for kind, before in rows]
