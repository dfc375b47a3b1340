"""Cancelling a sync job in each of its states."""

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
from partner_connector.features.sync_jobs.roll_up import update_parent
from partner_connector.ids import encode, new_id
from tests.api import rows
from tests.api.problems import assert_problem
from tests.api.world import World

ONLY_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def parent_of_checks(world: World, **values: Any) -> SyncJob:
    """Return a parent job that has finished its own work."""
    given: dict[str, Any] = {"status": "running", "own_work_done": True, "id": new_id()}
    return rows.sync_job(
        world.partner, partner_id=None, task="sync_integration", **(given | values)
    )


async def store_children(
    database: Database, world: World, parent: SyncJob, *statuses: str
) -> list[SyncJob]:
    """Store the parent and a child job for each status, each for its own partner."""
    partners = [rows.partner(world.integration) for _ in statuses]
    children = [
        rows.sync_job(partner, status=status, parent_id=parent.id)
        for partner, status in zip(partners, statuses, strict=True)
    ]
    await rows.store(database, parent, *partners, *children)
    return children


async def cancel(api: httpx.AsyncClient, job: SyncJob) -> httpx.Response:
    """Cancel the job and return the answer."""
    return await api.post(f"/v1/sync-jobs/{encode('job', job.id)}/cancel")


async def statuses_of(database: Database, jobs: list[SyncJob]) -> list[str]:
    """Return the statuses of the jobs, in the order of `jobs`."""
    async with database.reading() as session:
        return [(await session.get_one(SyncJob, job.id)).status for job in jobs]


async def audit_events(database: Database, workspace_id: UUID) -> list[AuditEvent]:
    """Return the audit events recorded after `make_world`, oldest first."""
    query = select(AuditEvent).where(
        AuditEvent.workspace_id == workspace_id, AuditEvent.api_key_id.is_not(None)
    )
    async with database.reading() as session:
        return list(await session.scalars(query.order_by(AuditEvent.id)))[1:]


@ONLY_SQLITE
@pytest.mark.parametrize("status", ["queued", "running", "waiting", "halted"])
async def test_unfinished_job_is_cancelled_at_once(
    api: httpx.AsyncClient, database: Database, world: World, workspace_id: UUID, status: str
) -> None:
    """Cancel twice: the second time changes nothing."""
    job = rows.sync_job(
        world.partner,
        status=status,
        waiting_reason="retrying" if status == "waiting" else None,
        resume_at=now() if status == "waiting" else None,
    )
    await rows.store(database, job)
    answer = await cancel(api, job)
    assert answer.status_code == 200
    shown = answer.json()
    assert (shown["status"], shown["status_label"]) == ("cancelled", "Cancelled")
    assert shown["finished_at"] is not None
    assert (shown["waiting_reason"], shown["resume_at"]) == (None, None)
    again = await cancel(api, job)
    assert (again.status_code, again.json()) == (200, shown)
    [event] = await audit_events(database, workspace_id)
    assert (event.action, event.subject) == ("sync_job.cancelled", shown["id"])
    assert event.details == {"was": status, "cancelled_checks": 0}
    restart = await api.post(f"/v1/partners/{world.ids['ptn']}/sync-jobs")
    assert restart.json()["id"] != shown["id"]


@ONLY_SQLITE
@pytest.mark.parametrize("status", ["completed", "failed"])
async def test_finished_job_cannot_be_cancelled(
    api: httpx.AsyncClient, database: Database, world: World, workspace_id: UUID, status: str
) -> None:
    job = rows.sync_job(world.partner, status=status, finished_at=now())
    await rows.store(database, job)
    assert_problem(await cancel(api, job), 409, "job_already_ended")
    assert await statuses_of(database, [job]) == [status]
    assert await audit_events(database, workspace_id) == []


async def test_cancelling_parent_cancels_unfinished_children(
    api: httpx.AsyncClient, database: Database, world: World, workspace_id: UUID
) -> None:
    """Cancel a parent: finished children and jobs without the parent stay as they are."""
    parent = parent_of_checks(world)
    children = await store_children(
        database, world, parent, "completed", "queued", "running", "waiting", "halted"
    )
    other_job = rows.sync_job(world.partner, status="running")
    await rows.store(database, other_job)
    shown = (await cancel(api, parent)).json()
    assert (shown["status"], shown["progress"]["done"]) == ("cancelled", 5)
    assert shown["finished_at"] is not None
    assert await statuses_of(database, children) == ["completed"] + ["cancelled"] * 4
    assert await statuses_of(database, [other_job]) == ["running"]
    again = await cancel(api, parent)
    assert (again.status_code, again.json()) == (200, shown)
    [event] = await audit_events(database, workspace_id)
    assert event.details == {"was": "running", "cancelled_checks": 4}


@ONLY_SQLITE
async def test_failed_parent_with_running_children_can_be_cancelled(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """Cancel a parent that failed with its first failed child while another child still runs."""
    parent = parent_of_checks(world, status="failed")
    children = await store_children(database, world, parent, "failed", "running")
    answer = await cancel(api, parent)
    assert (answer.status_code, answer.json()["status"]) == (200, "failed")
    assert answer.json()["finished_at"] is not None
    assert await statuses_of(database, children) == ["failed", "cancelled"]
    assert_problem(await cancel(api, parent), 409, "job_already_ended")


@ONLY_SQLITE
async def test_parent_without_children_can_be_cancelled(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    parent = parent_of_checks(world, own_work_done=False)
    await rows.store(database, parent)
    assert (await cancel(api, parent)).json()["status"] == "cancelled"


async def test_cancelling_children_updates_parent(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """Cancel one child, then the last: the parent runs until its last child has ended."""
    parent = parent_of_checks(world)
    first, second = await store_children(database, world, parent, "running", "running")
    await cancel(api, first)
    assert await statuses_of(database, [parent, second]) == ["running", "running"]
    await cancel(api, second)
    assert await statuses_of(database, [parent]) == ["cancelled"]


async def test_children_started_during_cancel_are_cancelled(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """Cancel a parent while another session that has locked it adds a child job."""
    parent = parent_of_checks(world, own_work_done=False)
    await rows.store(database, parent)
    async with database.writing() as session:
        row = await session.get_one(SyncJob, parent.id, with_for_update=True)
        cancelling = asyncio.create_task(cancel(api, parent))
        await asyncio.sleep(0.3)
        partner = rows.partner(world.integration)
        session.add(partner)
        await session.flush()
        child = rows.sync_job(partner, status="queued", parent_id=parent.id)
        session.add(child)
        row.own_work_done = True
    answer = await cancelling
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert await statuses_of(database, [child]) == ["cancelled"]


async def test_children_that_end_during_cancel_cause_no_deadlock(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """End children while their parent is cancelled: every request returns, and each job has one
    final status.
    """
    parent = parent_of_checks(world)
    children = await store_children(database, world, parent, *["running"] * 12)

    async def end(child: SyncJob) -> None:
        async with database.writing() as session:
            row = await session.get_one(SyncJob, child.id, with_for_update=True)
            if row.status == "running":
                async with recorded(session, row):
                    row.status, row.finished_at = "completed", now()
                await update_parent(session, row)

    half = [end(child) for child in children[:6]]
    answer = (await asyncio.gather(*half, cancel(api, parent), *map(end, children[6:])))[6]
    assert cast("httpx.Response", answer).status_code in {200, 409}
    found = await statuses_of(database, children)
    assert set(found) <= {"completed", "cancelled"}
    expected = "cancelled" if "cancelled" in found else "completed"
    assert await statuses_of(database, [parent]) == [expected]
