"""Roll-up: a check of all partners shows the states of the checks of single partners."""

from collections import Counter
from datetime import datetime
from uuid import UUID

import httpx
import pytest

from partner_connector.clock import now
from partner_connector.db.engine import Database
from partner_connector.db.models import SyncJob
from partner_connector.features.sync_jobs.recording import recorded
from partner_connector.features.sync_jobs.roll_up import (
    roll_up,
    status_from_children,
    update_parent,
)
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
def test_status_of_parent_follows_from_its_children(children: tuple[str, ...], parent: str) -> None:
    """Expect trouble before progress, progress before rest, and completed only if all are."""
    assert status_from_children(Counter(children)) == parent


class Family:
    """Parent job with a child job in each of the given states."""

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
        """Store all jobs and roll up the parent."""
        await rows.store(database, self.integration, *self.partners, self.parent, *self.children)
        async with database.writing() as session:
            await roll_up(session, self.parent.id)

    async def set_status(self, database: Database, child: int, status: str) -> None:
        """Set the status of a child, like its worker."""
        async with database.writing() as session:
            job = await session.get_one(SyncJob, self.children[child].id, with_for_update=True)
            async with recorded(session, job):
                job.status = status
            await update_parent(session, job)

    async def parent_state(
        self, database: Database
    ) -> tuple[str, int, int | None, datetime | None]:
        """Return the parent's status, its done and total counts, and when it finished."""
        async with database.reading() as session:
            job = await session.get_one(SyncJob, self.parent.id)
            return job.status, job.done, job.total, job.finished_at


async def test_parent_ends_once_only_halted_children_are_left(
    database: Database, workspace_id: UUID
) -> None:
    """Expect the end to stay, whatever happens to the halted child's plan."""
    family = Family(workspace_id, "halted", "running", "completed")
    await family.store(database)
    assert await family.parent_state(database) == ("halted", 1, 3, None)
    await family.set_status(database, 1, "completed")
    status, done, total, ended_at = await family.parent_state(database)
    assert (status, done, total) == ("halted", 2, 3)
    assert ended_at is not None
    for step, expected in (
        ("running", ("running", 2, 3, ended_at)),
        ("halted", ("halted", 2, 3, ended_at)),
        ("running", ("running", 2, 3, ended_at)),
        ("completed", ("completed", 3, 3, ended_at)),
    ):
        await family.set_status(database, 0, step)
        assert await family.parent_state(database) == expected


async def test_halted_child_does_not_block_the_next_check_of_all_partners(
    api: httpx.AsyncClient, database: Database, workspace_id: UUID
) -> None:
    """Expect a new check of the halted partner itself to join the halted job."""
    family = Family(workspace_id, "halted", "running")
    await family.store(database)
    url = f"/v1/integrations/{encode('int', family.integration.id)}/sync-jobs"
    running_job = (await api.post(url)).json()
    assert running_job["id"] == encode("job", family.parent.id)
    await family.set_status(database, 1, "completed")
    new_job = (await api.post(url)).json()
    assert (new_job["id"] != running_job["id"], new_job["status"]) == (True, "queued")
    assert (await api.post(url)).json()["id"] == new_job["id"]
    # The halted plan is now applied: two parents are unfinished, and one of them has an end.
    await family.set_status(database, 0, "running")
    assert (await family.parent_state(database))[0] == "running"
    assert (await api.post(url)).json()["id"] == new_job["id"]
    halted_partner = family.partners[0]
    await rows.store(database, rows.token(halted_partner))
    halted_job = await api.post(f"/v1/partners/{encode('ptn', halted_partner.id)}/sync-jobs")
    assert halted_job.json()["id"] == encode("job", family.children[0].id)


@ONLY_SQLITE
async def test_cancelled_parent_stays_cancelled(database: Database, workspace_id: UUID) -> None:
    """Expect no roll-up before the parent's own work is done."""
    family = Family(workspace_id, "completed")
    family.parent.own_work_done = False
    family.parent.status, family.parent.finished_at = "cancelled", now()
    await family.store(database)
    assert (await family.parent_state(database))[0] == "cancelled"
