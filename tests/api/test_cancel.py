"""Calling a check for updates off, in each state that it can be in."""

import asyncio
from typing import Any, cast
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select

from partner_connector.clock import now
from partner_connector.db.engine import Database
from partner_connector.db.models import AuditEvent, SyncJob
from partner_connector.features.sync_jobs.recording import recorded
from partner_connector.features.sync_jobs.roll_up import tell_parent
from partner_connector.ids import encode, new_id
from tests.api import rows
from tests.api.problems import assert_problem
from tests.api.world import World

ONLY_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def parent_of_checks(world: World, **values: Any) -> SyncJob:
    """A check of all partners that has done its own part."""
    given: dict[str, Any] = {"status": "running", "own_work_done": True, "id": new_id()}
    return rows.sync_job(
        world.partner, partner_id=None, task="sync_integration", **(given | values)
    )


async def store_children(
    database: Database, world: World, parent: SyncJob, *statuses: str
) -> list[SyncJob]:
    """The parent with a check in each of these states, each of a partner of its own."""
    partners = [rows.partner(world.integration) for _ in statuses]
    children = [
        rows.sync_job(partner, status=status, parent_id=parent.id)
        for partner, status in zip(partners, statuses, strict=True)
    ]
    await rows.store(database, parent, *partners, *children)
    return children


async def cancelled_by(api: httpx.AsyncClient, job: SyncJob) -> httpx.Response:
    """The answer to cancelling it."""
    return await api.post(f"/v1/sync-jobs/{encode('job', job.id)}/cancel")


async def states(database: Database, jobs: list[SyncJob]) -> list[str]:
    """The jobs' states, in the order of the jobs."""
    async with database.reading() as session:
        return [(await session.get_one(SyncJob, job.id)).status for job in jobs]


async def audited(database: Database, workspace_id: UUID) -> list[AuditEvent]:
    """What was put on record since the world was made, oldest first."""
    query = select(AuditEvent).where(
        AuditEvent.workspace_id == workspace_id, AuditEvent.api_key_id.is_not(None)
    )
    async with database.reading() as session:
        return list(await session.scalars(query.order_by(AuditEvent.id)))[1:]


@ONLY_SQLITE
@pytest.mark.parametrize("status", ["queued", "running", "waiting", "halted"])
async def test_an_unfinished_job(
    api: httpx.AsyncClient, database: Database, world: World, workspace_id: UUID, status: str
) -> None:
    """It ends at once, whatever it was at; cancelling again changes nothing."""
    job = rows.sync_job(
        world.partner,
        status=status,
        waiting_reason="retrying" if status == "waiting" else None,
        resume_at=now() if status == "waiting" else None,
    )
    await rows.store(database, job)
    answer = await cancelled_by(api, job)
    assert answer.status_code == 200
    shown = answer.json()
    assert (shown["status"], shown["status_label"]) == ("cancelled", "Cancelled")
    assert shown["finished_at"] is not None
    assert (shown["waiting_reason"], shown["resume_at"]) == (None, None)
    again = await cancelled_by(api, job)
    assert (again.status_code, again.json()) == (200, shown)
    [event] = await audited(database, workspace_id)
    assert (event.action, event.subject) == ("sync_job.cancelled", shown["id"])
    assert event.details == {"was": status, "cancelled_checks": 0}
    restart = await api.post(f"/v1/partners/{world.ids['ptn']}/sync-jobs")
    assert restart.json()["id"] != shown["id"]


@ONLY_SQLITE
@pytest.mark.parametrize("status", ["completed", "failed"])
async def test_a_job_that_has_ended(
    api: httpx.AsyncClient, database: Database, world: World, workspace_id: UUID, status: str
) -> None:
    """What is over cannot be called off."""
    job = rows.sync_job(world.partner, status=status, finished_at=now())
    await rows.store(database, job)
    assert_problem(await cancelled_by(api, job), 409, "job_already_ended")
    assert await states(database, [job]) == [status]
    assert await audited(database, workspace_id) == []


async def test_a_parent_and_its_children(
    api: httpx.AsyncClient, database: Database, world: World, workspace_id: UUID
) -> None:
    """Those of its checks that are not done are cancelled, the others stay as they are."""
    parent = parent_of_checks(world)
    children = await store_children(
        database, world, parent, "completed", "queued", "running", "waiting", "halted"
    )
    alone = rows.sync_job(world.partner, status="running")
    await rows.store(database, alone)
    shown = (await cancelled_by(api, parent)).json()
    assert (shown["status"], shown["progress"]["done"]) == ("cancelled", 5)
    assert shown["finished_at"] is not None
    assert await states(database, children) == ["completed"] + ["cancelled"] * 4
    assert await states(database, [alone]) == ["running"]
    again = await cancelled_by(api, parent)
    assert (again.status_code, again.json()) == (200, shown)
    [event] = await audited(database, workspace_id)
    assert event.details == {"was": "running", "cancelled_checks": 4}


@ONLY_SQLITE
async def test_a_parent_that_has_failed_so_far(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """A parent is failed with its first failed check, and the others can still be called off."""
    parent = parent_of_checks(world, status="failed")
    children = await store_children(database, world, parent, "failed", "running")
    answer = await cancelled_by(api, parent)
    assert (answer.status_code, answer.json()["status"]) == (200, "failed")
    assert answer.json()["finished_at"] is not None
    assert await states(database, children) == ["failed", "cancelled"]
    assert_problem(await cancelled_by(api, parent), 409, "job_already_ended")


@ONLY_SQLITE
async def test_a_parent_that_still_lists_partners(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """Before it has any checks the parent alone is cancelled."""
    parent = parent_of_checks(world, own_work_done=False)
    await rows.store(database, parent)
    assert (await cancelled_by(api, parent)).json()["status"] == "cancelled"


async def test_a_child(api: httpx.AsyncClient, database: Database, world: World) -> None:
    """Cancelling one check is told to its parent, which goes on with the others."""
    parent = parent_of_checks(world)
    first, second = await store_children(database, world, parent, "running", "running")
    await cancelled_by(api, first)
    assert await states(database, [parent, second]) == ["running", "running"]
    await cancelled_by(api, second)
    assert await states(database, [parent]) == ["cancelled"]


async def test_children_that_come_at_that_moment(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """A parent that starts its checks while it is being cancelled is cancelled with them."""
    parent = parent_of_checks(world, own_work_done=False)
    await rows.store(database, parent)
    async with database.writing() as session:
        row = await session.get_one(SyncJob, parent.id, with_for_update=True)
        cancelling = asyncio.create_task(cancelled_by(api, parent))
        await asyncio.sleep(0.3)
        partner = rows.partner(world.integration)
        session.add(partner)
        await session.flush()
        child = rows.sync_job(partner, status="queued", parent_id=parent.id)
        session.add(child)
        row.own_work_done = True
    answer = await cancelling
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert await states(database, [child]) == ["cancelled"]


async def test_children_that_end_at_that_moment(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """Checks that end while their parent is cancelled: nobody waits for the other for ever, and
    each has one end.
    """
    parent = parent_of_checks(world)
    children = await store_children(database, world, parent, *["running"] * 12)

    async def end(child: SyncJob) -> None:
        async with database.writing() as session:
            row = await session.get_one(SyncJob, child.id, with_for_update=True)
            if row.status == "running":
                async with recorded(session, row):
                    row.status, row.finished_at = "completed", now()
                await tell_parent(session, row)

    half = [end(child) for child in children[:6]]
    answer = (await asyncio.gather(*half, cancelled_by(api, parent), *map(end, children[6:])))[6]
    assert cast("httpx.Response", answer).status_code in {200, 409}
    found = await states(database, children)
    assert set(found) <= {"completed", "cancelled"}
    expected = "cancelled" if "cancelled" in found else "completed"
    assert await states(database, [parent]) == [expected]
