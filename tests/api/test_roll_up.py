"""What a check of all partners shows of the checks of each one."""

from collections import Counter
from datetime import datetime
from uuid import UUID

import httpx
import pytest

from partner_connector.clock import now
from partner_connector.db.engine import Database
from partner_connector.db.models import SyncJob
from partner_connector.features.sync_jobs.recording import recorded
from partner_connector.features.sync_jobs.roll_up import roll_up, rolled_up, tell_parent
from partner_connector.ids import encode, new_id
from tests.api import rows

ONLY_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.mark.parametrize(
    ("children", "parent"),
    [
        ((), "completed"),
        (("completed", "completed"), "completed"),
        (("completed", "cancelled"), "cancelled"),
        (("cancelled", "queued"), "queued"),
        (("completed", "queued"), "queued"),
        (("queued", "running"), "running"),
        (("running", "waiting"), "waiting"),
        (("waiting", "halted"), "halted"),
        (("halted", "completed"), "halted"),
        (("halted", "failed"), "failed"),
    ],
)
def test_the_state_that_decides(children: tuple[str, ...], parent: str) -> None:
    """Trouble comes before progress, progress before rest, and complete only where all of it is."""
    assert rolled_up(Counter(children)) == parent


class Family:
    """A parent with a check in each of these states."""

    def __init__(self, workspace_id: UUID, *statuses: str) -> None:
        self.integration = rows.integration(workspace_id)
        self.partners = [rows.partner(self.integration) for _ in statuses]
        self.parent = rows.sync_job(
            self.partners[0],
            partner_id=None,
            task="sync_integration",
            status="running",
            own_work_done=True,
            id=new_id(),
        )
        self.children = [
            rows.sync_job(partner, status=status, parent_id=self.parent.id)
            for partner, status in zip(self.partners, statuses, strict=True)
        ]

    async def store(self, database: Database) -> None:
        """Write them, and roll the parent up."""
        await rows.store(database, self.integration, *self.partners, self.parent, *self.children)
        async with database.writing() as session:
            await roll_up(session, self.parent.id)

    async def move(self, database: Database, child: int, status: str) -> None:
        """A child goes on, as its worker would have it."""
        async with database.writing() as session:
            job = await session.get_one(SyncJob, self.children[child].id, with_for_update=True)
            async with recorded(session, job):
                job.status = status
            await tell_parent(session, job)

    async def shown(self, database: Database) -> tuple[str, int, int | None, datetime | None]:
        """The parent's status, how many of how many are done, and its end."""
        async with database.reading() as session:
            job = await session.get_one(SyncJob, self.parent.id)
            return job.status, job.done, job.total, job.finished_at


async def test_a_parent_ends_where_only_plans_wait(database: Database, workspace_id: UUID) -> None:
    """It ends once all others have, and its end stays whatever becomes of the plan."""
    family = Family(workspace_id, "halted", "running", "completed")
    await family.store(database)
    assert await family.shown(database) == ("halted", 1, 3, None)
    await family.move(database, 1, "completed")
    status, done, total, ended_at = await family.shown(database)
    assert (status, done, total) == ("halted", 2, 3)
    assert ended_at is not None
    for step, expected in (
        ("running", ("running", 2, 3, ended_at)),
        ("halted", ("halted", 2, 3, ended_at)),
        ("running", ("running", 2, 3, ended_at)),
        ("completed", ("completed", 3, 3, ended_at)),
    ):
        await family.move(database, 0, step)
        assert await family.shown(database) == expected


async def test_a_plan_does_not_keep_the_next_check(
    api: httpx.AsyncClient, database: Database, workspace_id: UUID
) -> None:
    """While only a plan waits a new check of all partners can start, but none of that partner."""
    family = Family(workspace_id, "halted", "running")
    await family.store(database)
    url = f"/v1/integrations/{encode('int', family.integration.id)}/sync-jobs"
    joined = (await api.post(url)).json()
    assert joined["id"] == encode("job", family.parent.id)
    await family.move(database, 1, "completed")
    fresh = (await api.post(url)).json()
    assert (fresh["id"] != joined["id"], fresh["status"]) == (True, "queued")
    assert (await api.post(url)).json()["id"] == fresh["id"]
    # The plan is carried out after all: two unfinished parents, of which one has ended.
    await family.move(database, 0, "running")
    assert (await family.shown(database))[0] == "running"
    assert (await api.post(url)).json()["id"] == fresh["id"]
    halted_partner = family.partners[0]
    await rows.store(database, rows.token(halted_partner))
    again = await api.post(f"/v1/partners/{encode('ptn', halted_partner.id)}/sync-jobs")
    assert again.json()["id"] == encode("job", family.children[0].id)


@ONLY_SQLITE
async def test_a_cancelled_parent_stays_cancelled(database: Database, workspace_id: UUID) -> None:
    """Before its own work is done a parent is not made up of its children."""
    family = Family(workspace_id, "completed")
    family.parent.own_work_done = False
    family.parent.status, family.parent.finished_at = "cancelled", now()
    await family.store(database)
    assert (await family.shown(database))[0] == "cancelled"
