"""Checks for updates: requested, joined, waited for and listed."""

import asyncio
import time
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import func, select, update

from partner_connector.clock import now
from partner_connector.db.engine import Database
from partner_connector.db.models import SyncJob
from partner_connector.ids import decode, encode
from tests.api import rows
from tests.api.engine_rows import enqueued
from tests.api.surface import TOKEN
from tests.api.world import World

ONLY_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
TARGETS = [("partners", "ptn", "sync_partner"), ("integrations", "int", "sync_integration")]


@pytest.mark.parametrize(("kind", "prefix", "task"), TARGETS)
async def test_second_request_joins_the_unfinished_job(
    api: httpx.AsyncClient, database: Database, world: World, kind: str, prefix: str, task: str
) -> None:
    """Expect the same job and no second queue entry."""
    url = f"/v1/{kind}/{world.ids[prefix]}/sync-jobs"
    first, second = await api.post(url, json={}), await api.post(url)
    assert first.status_code == 202
    assert second.status_code in {200, 202}
    job = first.json()
    assert first.headers["location"] == f"/v1/sync-jobs/{job['id']}"
    assert int(first.headers["retry-after"]) >= 1
    assert second.json()["id"] == job["id"]
    assert (job["task"], job["trigger"], job["status"]) == (task, "api", "queued")
    assert job["status_label"] == "Queued"
    assert job["integration_id"] == world.ids["int"]
    assert job["partner_id"] == (world.ids["ptn"] if prefix == "ptn" else None)
    assert (await api.get(first.headers["location"])).json() == job
    assert await enqueued(database) == [f"{task}:{decode('job', job['id'])}:1"]


@pytest.mark.parametrize(("kind", "prefix", "task"), TARGETS)
async def test_twenty_concurrent_requests_create_one_job(
    api: httpx.AsyncClient, database: Database, world: World, kind: str, prefix: str, task: str
) -> None:
    url = f"/v1/{kind}/{world.ids[prefix]}/sync-jobs"
    answers = await asyncio.gather(*(api.post(url) for _ in range(20)))
    assert {answer.status_code for answer in answers} <= {200, 202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    async with database.reading() as session:
        query = select(func.count()).where(SyncJob.status == "queued", SyncJob.task == task)
        assert await session.scalar(query) == 1
    assert len(await enqueued(database)) == 1


@ONLY_SQLITE
@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
async def test_finished_job_is_not_joined(
    api: httpx.AsyncClient, database: Database, world: World, status: str
) -> None:
    url = f"/v1/partners/{world.ids['ptn']}/sync-jobs"
    first = (await api.post(url)).json()["id"]
    async with database.writing() as session:
        await session.execute(update(SyncJob).values(status=status))
    assert (await api.post(url)).json()["id"] != first
    assert len(await enqueued(database)) == 2


@ONLY_SQLITE
@pytest.mark.parametrize("status", ["queued", "running", "waiting", "halted"])
async def test_unfinished_job_is_joined(
    api: httpx.AsyncClient, database: Database, world: World, status: str
) -> None:
    job = rows.sync_job(world.partner, status=status, waiting_reason="retrying")
    await rows.store(database, job)
    answer = await api.post(f"/v1/partners/{world.ids['ptn']}/sync-jobs")
    assert answer.json()["id"] == encode("job", job.id)
    assert await enqueued(database) == []


async def test_check_of_a_partner_without_a_token_is_refused(
    api: httpx.AsyncClient, database: Database, workspace_id: UUID
) -> None:
    """Expect 409 and no queue entry."""
    integration = rows.integration(workspace_id)
    partner = rows.partner(integration)
    await rows.store(database, integration, partner)
    answer = await api.post(f"/v1/partners/{encode('ptn', partner.id)}/sync-jobs")
    assert answer.status_code == 409
    assert answer.json()["code"] == "partner_not_connected"
    assert await enqueued(database) == []


WAITING_REQUESTS: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/v1/partners/{ptn}/sync-jobs", {}),
    ("POST", "/v1/integrations/{int}/sync-jobs", {}),
    ("PUT", "/v1/partners/{ptn}/token", {"access_token": TOKEN}),
    ("POST", "/v1/partners/{ptn}/token-validations", {"access_token": TOKEN}),
]


@ONLY_SQLITE
async def test_prefer_wait_ends_with_202_after_the_given_seconds(
    api: httpx.AsyncClient, world: World
) -> None:
    """Send the requests while no worker runs."""
    began = time.monotonic()
    headers = {"Prefer": "respond-async, wait=1"}
    answers = await asyncio.gather(
        *(
            api.request(method, path.format(**world.ids), json=body, headers=headers)
            for method, path, body in WAITING_REQUESTS
        )
    )
    seconds = time.monotonic() - began
    for answer in answers:
        assert answer.status_code == 202
        assert answer.headers["preference-applied"] == "wait=1"
        assert answer.headers["vary"] == "Prefer"
        assert answer.headers["retry-after"]
    assert 1.0 <= seconds < 2.5


async def wait_for_queued_job(database: Database) -> None:
    """Wait until a job is queued."""
    queued = select(func.count()).where(SyncJob.status == "queued")
    while True:
        async with database.reading() as session:
            if await session.scalar(queued):
                return
        await asyncio.sleep(0.02)


@ONLY_SQLITE
async def test_prefer_wait_returns_200_as_soon_as_the_job_ends(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    url = f"/v1/partners/{world.ids['ptn']}/sync-jobs"

    async def work() -> None:
        await asyncio.sleep(0.3)
        await wait_for_queued_job(database)
        async with database.writing() as session:
            await session.execute(update(SyncJob).values(status="completed", finished_at=now()))

    began = time.monotonic()
    answer, _ = await asyncio.gather(api.post(url, headers={"Prefer": "wait=20"}), work())
    assert time.monotonic() - began < 5
    assert answer.status_code == 200
    assert answer.json()["status"] == "completed"
    assert answer.json()["status_label"] == "Complete"
    assert answer.headers["preference-applied"] == "wait=20"
    assert "retry-after" not in answer.headers


@ONLY_SQLITE
async def test_prefer_wait_returns_202_as_soon_as_the_job_halts(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """Expect no wait for the decision of a person."""
    url = f"/v1/partners/{world.ids['ptn']}/sync-jobs"

    async def work() -> None:
        await asyncio.sleep(0.3)
        await wait_for_queued_job(database)
        async with database.writing() as session:
            queued = update(SyncJob).where(SyncJob.status == "queued")
            await session.execute(queued.values(status="halted"))

    began = time.monotonic()
    answer, _ = await asyncio.gather(api.post(url, headers={"Prefer": "wait=20"}), work())
    assert time.monotonic() - began < 5
    assert (answer.status_code, answer.json()["status"]) == (202, "halted")


@ONLY_SQLITE
async def test_prefer_wait_on_halted_parent_waits_for_the_other_children(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """Wait until the parent job has an end, though it shows halted before."""
    parent = rows.sync_job(world.partner, partner_id=None, task="sync_integration", status="halted")
    await rows.store(database, parent)
    url = f"/v1/integrations/{world.ids['int']}/sync-jobs"
    began = time.monotonic()
    answer = await api.post(url, headers={"Prefer": "wait=1"})
    assert time.monotonic() - began >= 1
    assert answer.json()["id"] == encode("job", parent.id)

    async def work() -> None:
        await asyncio.sleep(0.3)
        async with database.writing() as session:
            await session.execute(update(SyncJob).values(finished_at=now()))

    answer, _ = await asyncio.gather(api.post(url, headers={"Prefer": "wait=20"}), work())
    assert time.monotonic() - began < 6
    assert (answer.status_code, answer.json()["status"]) == (202, "halted")


@ONLY_SQLITE
async def test_waiting_request_holds_no_lock(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    url = f"/v1/partners/{world.ids['ptn']}/sync-jobs"
    waiter = asyncio.create_task(api.post(url, headers={"Prefer": "wait=1"}))
    await asyncio.sleep(0.3)
    began = time.monotonic()
    async with database.writing() as session:
        await session.execute(update(SyncJob).values(phase="applying"))
    assert time.monotonic() - began < 0.5
    assert (await waiter).json()["progress"]["phase"] == "applying"


FILTERS: list[tuple[dict[str, Any], set[str]]] = [
    ({}, {"done", "halted", "parent"}),
    ({"status": "halted"}, {"halted"}),
    ({"status": ["halted", "completed"]}, {"done", "halted", "parent"}),
    ({"task": "sync_integration"}, {"parent"}),
    ({"trigger": "schedule"}, {"parent"}),
    ({"trigger": ["schedule", "connect"]}, {"parent", "halted"}),
    ({"created_after": "2026-11-01T12:00:00Z"}, {"halted", "parent"}),
    ({"created_after": "2026-11-01T12:59:59.999+01:00"}, {"done", "halted", "parent"}),
    ({"created_after": "2199-01-01T00:00:00Z"}, set()),
]


async def test_filters_select_matching_jobs(
    api: httpx.AsyncClient, database: Database, workspace_id: UUID
) -> None:
    """Expect several values to mean “or”."""
    integration = rows.integration(workspace_id)
    partner = rows.partner(integration)
    parent = rows.sync_job(
        partner, partner_id=None, task="sync_integration", trigger="schedule", phase="parent"
    )
    done = rows.sync_job(partner, phase="done", created_at=rows.SEEN_AT)
    halted = rows.sync_job(
        partner, status="halted", trigger="connect", phase="halted", parent_id=parent.id
    )
    await rows.store(database, integration, partner, parent, done, halted)
    found = []
    for params, _ in FILTERS:
        items = (await api.get("/v1/sync-jobs", params=params)).json()["items"]
        found.append((params, {item["progress"]["phase"] for item in items}))
    assert found == FILTERS
    of_partner = {"partner_id": encode("ptn", partner.id)}
    items = (await api.get("/v1/sync-jobs", params=of_partner)).json()["items"]
    assert [item["progress"]["phase"] for item in items] == ["halted", "done"]


@ONLY_SQLITE
async def test_failed_job_shows_cause_action_and_metas_error(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """Expect Meta's code, subcode and trace id, for a support case at Meta."""
    error = {
        "code": "token_dead",
        "class": "configuration",
        "user_action": "reconnect_token",
        "detail": "Meta no longer accepts the token.",
        "meta": {"code": 190, "subcode": 460, "fbtrace_id": "A1b2"},
    }
    job = rows.sync_job(
        world.partner,
        status="failed",
        error=error,
        partial=True,
        warnings=[{"code": "edge_refused", "edge": "business_users", "detail": "Refused."}],
    )
    await rows.store(database, job)
    shown = (await api.get(f"/v1/sync-jobs/{encode('job', job.id)}")).json()
    assert shown["status_label"] == "Not completed"
    assert shown["error"] == error
    assert shown["partial"] is True
    assert shown["warnings"][0]["code"] == "edge_refused"
