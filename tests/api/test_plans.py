"""The plan of a job that the safeguard halted: read, approved or rejected."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select, update

from partner_connector.clock import now
from partner_connector.db.engine import Database
from partner_connector.db.models import AuditEvent, SyncJob, Token
from partner_connector.features.audit.service import Recorder
from partner_connector.features.sync_jobs.plans import service
from partner_connector.ids import encode, new_id
from partner_connector.web.context import ApiContext
from tests.api import rows
from tests.api.engine_rows import enqueued
from tests.api.problems import assert_problem
from tests.api.rows import DIGEST
from tests.api.world import World

ONLY_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
OTHER_DIGEST = "f" * 64

Halt = Callable[..., Awaitable[tuple[SyncJob, str]]]


@pytest.fixture
def halt(database: Database, world: World) -> Halt:
    """Function that stores a halted job of the partner and returns it with its plan's path."""

    async def halt(**values: Any) -> tuple[SyncJob, str]:
        job = rows.halted_job(world.partner, world.token, **values)
        await rows.store(database, job)
        return job, f"/v1/sync-jobs/{encode('job', job.id)}/plan"

    return halt


async def reload(database: Database, job: SyncJob) -> SyncJob:
    """Load the job again from the database."""
    async with database.reading() as session:
        return await session.get_one(SyncJob, job.id)


DECISIONS = select(AuditEvent).where(AuditEvent.action.like("sync_plan.%")).order_by(AuditEvent.id)


async def decisions(database: Database) -> list[AuditEvent]:
    """Return the audit events of decisions on plans, oldest first."""
    async with database.reading() as session:
        return list(await session.scalars(DECISIONS))


async def test_plan_shows_counts_and_every_change_without_the_token(
    api: httpx.AsyncClient, database: Database, world: World, halt: Halt
) -> None:
    job, url = await halt()
    user_id, asset_id = new_id(), new_id()
    grant = {"via": "direct", "tasks": ["ANALYZE"], "full_control": False}
    await rows.store(
        database,
        rows.planned(
            job, kind="access_revoked", partner_user_id=user_id, asset_id=asset_id, before=grant
        ),
        rows.planned(job, partner_user_id=user_id),
    )
    answer = await api.get(url)
    shown = answer.json()
    expires_at = shown.pop("expires_at")
    assert expires_at > shown["created_at"]
    assert shown == {
        "job_id": encode("job", job.id),
        "digest": DIGEST,
        "status": "open",
        "created_at": "2026-11-01T12:00:00.000Z",
        "users": 5,
        "removals": 2,
        "safeguard_percent": 20,
        "counts": {"access_revoked": 2, "user_left": 2},
        "items": [
            {
                "kind": "access_revoked",
                "partner_id": world.ids["ptn"],
                "partner_user_id": encode("usr", user_id),
                "asset_id": encode("ast", asset_id),
                "before": grant,
                "after": None,
            },
            {
                "kind": "user_left",
                "partner_id": world.ids["ptn"],
                "partner_user_id": encode("usr", user_id),
                "asset_id": None,
                "before": {"name": "Ada Example", "email": None},
                "after": None,
            },
        ],
        "next_cursor": None,
    }
    assert str(world.token.id) not in answer.text
    of_job = (await api.get(url.removesuffix("/plan"))).json()
    assert (of_job["status"], of_job["plan_expires_at"]) == ("halted", expires_at)


async def test_approved_job_runs_its_next_attempt(
    api: httpx.AsyncClient, database: Database, world: World, halt: Halt
) -> None:
    """Expect a second approval to change nothing."""
    parent = rows.sync_job(
        world.partner,
        partner_id=None,
        task="sync_integration",
        status="halted",
        own_work_done=True,
        finished_at=now(),
    )
    await rows.store(database, parent)
    job, url = await halt(parent_id=parent.id, attempt=3)
    answer = await api.post(f"{url}/approve", json={"digest": DIGEST})
    assert answer.status_code == 202
    assert answer.headers["location"] == url.removesuffix("/plan")
    shown = answer.json()
    assert (shown["status"], shown["attempt"]) == ("running", 4)
    assert shown["progress"] == {"phase": "applying", "done": 0, "total": None}
    assert (await reload(database, job)).approved_plan == DIGEST
    assert await enqueued(database) == [f"sync_partner:{job.id}:4"]
    parent_now = await reload(database, parent)
    assert (parent_now.status, parent_now.finished_at) == ("running", parent.finished_at)
    assert (await api.get(url)).json()["status"] == "approved"
    for body in ({"digest": DIGEST}, None):
        again = await api.post(f"{url}/approve", json=body)
        assert (again.status_code, again.json()) == (202, shown)
    assert len(await enqueued(database)) == 1
    [event] = await decisions(database)
    assert (event.action, event.subject) == ("sync_plan.approved", encode("job", job.id))
    assert event.request_id == answer.headers["x-request-id"]
    assert event.details == {"digest": DIGEST, "users": 5, "removals": 2}


async def test_rejected_job_is_cancelled_and_applies_nothing(
    api: httpx.AsyncClient, database: Database, world: World, halt: Halt
) -> None:
    """Expect a new check of the partner to be possible."""
    parent = rows.sync_job(
        world.partner,
        partner_id=None,
        task="sync_integration",
        status="halted",
        own_work_done=True,
    )
    await rows.store(database, parent)
    job, url = await halt(parent_id=parent.id)
    answer = await api.post(f"{url}/reject", json={"digest": DIGEST})
    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["status_label"]) == ("cancelled", "Cancelled")
    assert answer.json()["finished_at"] is not None
    assert (await reload(database, parent)).status == "cancelled"
    assert (await api.get(url)).json()["status"] == "closed"
    assert await enqueued(database) == []
    for decision in ("approve", "reject"):
        assert_problem(await api.post(f"{url}/{decision}"), 409, "plan_not_open")
    [event] = await decisions(database)
    assert (event.action, event.subject) == ("sync_plan.rejected", encode("job", job.id))
    restart = await api.post(f"/v1/partners/{world.ids['ptn']}/sync-jobs")
    assert restart.json()["id"] != encode("job", job.id)


@ONLY_SQLITE
@pytest.mark.parametrize("decision", ["approve", "reject"])
async def test_decision_on_another_digest_is_refused(
    api: httpx.AsyncClient, database: Database, halt: Halt, decision: str
) -> None:
    job, url = await halt()
    answer = await api.post(f"{url}/{decision}", json={"digest": OTHER_DIGEST})
    assert_problem(answer, 409, "plan_stale")
    assert (await reload(database, job)).status == "halted"
    assert await enqueued(database) == []
    assert await decisions(database) == []


@ONLY_SQLITE
async def test_expired_plan_can_only_be_rejected(
    api: httpx.AsyncClient, database: Database, halt: Halt
) -> None:
    job, url = await halt(plan_expires_at=now() - timedelta(seconds=1))
    assert (await api.get(url)).json()["status"] == "expired"
    assert_problem(await api.post(f"{url}/approve"), 409, "plan_stale")
    assert (await reload(database, job)).status == "halted"
    assert await enqueued(database) == []
    assert (await api.post(f"{url}/reject")).json()["status"] == "cancelled"


@ONLY_SQLITE
@pytest.mark.parametrize("replaced", [True, False])
async def test_plan_is_stale_once_its_token_is_replaced_or_gone(
    api: httpx.AsyncClient, database: Database, world: World, halt: Halt, *, replaced: bool
) -> None:
    job, url = await halt()
    async with database.writing() as session:
        await session.execute(update(Token).values(state="superseded"))
    if replaced:
        await rows.store(database, rows.token(world.partner, version=2))
    assert (await api.get(url)).json()["status"] == "stale"
    assert_problem(await api.post(f"{url}/approve", json={"digest": DIGEST}), 409, "plan_stale")
    assert (await reload(database, job)).status == "halted"
    assert await enqueued(database) == []


@ONLY_SQLITE
@pytest.mark.parametrize("status", ["queued", "running", "waiting", "completed", "cancelled"])
async def test_plan_is_closed_once_the_job_is_not_halted(
    api: httpx.AsyncClient, database: Database, halt: Halt, status: str
) -> None:
    """Refuse decisions on a job that continued or ended."""
    job, url = await halt(status=status)
    assert (await api.get(url)).json()["status"] == "closed"
    for decision in ("approve", "reject"):
        assert_problem(await api.post(f"{url}/{decision}"), 409, "plan_not_open")
    assert (await reload(database, job)).status == status


@ONLY_SQLITE
async def test_job_that_never_halted_has_no_plan(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    job = rows.sync_job(world.partner, status="running")
    await rows.store(database, job)
    url = f"/v1/sync-jobs/{encode('job', job.id)}/plan"
    for method, path in (("GET", ""), ("POST", "/approve"), ("POST", "/reject")):
        assert_problem(await api.request(method, url + path), 404, "no_plan")


@ONLY_SQLITE
@pytest.mark.parametrize("digest", ["", "f" * 63, "F" * 64, 1])
async def test_malformed_digest_is_refused(
    api: httpx.AsyncClient, halt: Halt, digest: object
) -> None:
    _, url = await halt()
    answer = await api.post(f"{url}/approve", json={"digest": digest})
    assert_problem(answer, 422, "validation_failed")


async def test_failed_transaction_keeps_no_part_of_a_decision(
    app: FastAPI, database: Database, halt: Halt
) -> None:
    """Expect neither an approval, nor a queue entry, nor an audit event."""
    job, _ = await halt()
    context = cast("ApiContext", app.state.context)
    audit = Recorder(job.workspace_id, "api_key", "req_test", b"key", new_id())

    async def approve_and_fail() -> None:
        async with context.database.writing() as session:
            await service.approve(session, context.queue, audit, job.id, None)
            assert len((await session.scalars(DECISIONS)).all()) == 1
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await approve_and_fail()
    assert (await reload(database, job)).status == "halted"
    assert await enqueued(database) == []
    assert await decisions(database) == []
