"""Events of a sync job: each is returned once and in order, in pages and in streams."""

import ast
import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import event
from sqlalchemy.orm import Session

import partner_connector
from partner_connector.api.app import create_app
from partner_connector.clock import now
from partner_connector.credentials import Caller
from partner_connector.db import revisions
from partner_connector.db.engine import Database
from partner_connector.db.models import SyncJob, SyncJobEvent
from partner_connector.features.sync_jobs.events import stream
from partner_connector.features.sync_jobs.recording import MAX_PROGRESS_EVENTS, recorded
from partner_connector.ids import encode, new_id
from partner_connector.sealing.public import PublicKeyring
from partner_connector.settings import Settings
from partner_connector.web.context import ApiContext
from tests.api import rows
from tests.api.problems import assert_problem
from tests.api.test_roll_up import Family
from tests.support.clients import Tenant
from tests.support.event_streams import ACCEPT, Json, Reader, following, streamed
from tests.support.serving import Served, served

ONLY_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
ONLY_POSTGRES = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture
async def serving(settings: Settings, keyring: PublicKeyring) -> AsyncIterator[Served]:
    """The API, served on a socket."""
    async with served(create_app(settings, keyring)) as started:
        yield started


@pytest.fixture
async def client(serving: Served, tenant: Tenant) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the served API."""
    async with serving.client(tenant.api_key) as opened:
        yield opened


@pytest.fixture
async def job(database: Database, workspace_id: UUID) -> SyncJob:
    """A queued sync job."""
    integration = rows.integration(workspace_id)
    partner = rows.partner(integration)
    job_row = rows.sync_job(partner, status="queued")
    await rows.store(database, integration, partner, job_row)
    return job_row


def events_path(job: SyncJob) -> str:
    """Return the path of the job's events."""
    return f"/v1/sync-jobs/{encode('job', job.id)}/events"


async def change(database: Database, job: SyncJob, **values: Any) -> None:
    """Change the job as a worker does: in a transaction that locks its row."""
    async with database.writing() as session:
        row = await session.get_one(SyncJob, job.id, with_for_update=True)
        async with recorded(session, row):
            for name, value in values.items():
                setattr(row, name, value)


async def work_on(database: Database, job: SyncJob) -> None:
    """Run a short job through every kind of event."""
    await change(database, job, status="running", started_at=now())
    await change(database, job, phase="reading_access", done=0, total=3)
    await change(database, job, done=1)
    later = now()
    waiting = {"waiting_reason": "rate_limited", "resume_at": later, "attempt": 2}
    await change(database, job, status="waiting", **waiting)
    await change(database, job, status="running", waiting_reason=None, resume_at=None)
    await change(database, job, done=2)
    await change(database, job, status="completed", phase="finished", added=4, finished_at=now())


async def poll_events(client: httpx.AsyncClient, path: str, **params: Any) -> list[Json]:
    """Return every event, read page by page."""
    items: list[Json] = []
    while True:
        answer = await client.get(path, params=params)
        assert answer.status_code == 200, answer.text
        items += answer.json()["items"]
        if answer.json()["next_cursor"] is None:
            return items
        params["cursor"] = answer.json()["next_cursor"]


async def test_pages_and_streams_return_same_events(
    client: httpx.AsyncClient, database: Database, job: SyncJob
) -> None:
    """Compare a stream opened at the start, later streams and pages: each has all events once.
    After any event id, a stream and pages return exactly the later events.
    """
    first_stream = asyncio.create_task(streamed(client, events_path(job)))
    await work_on(database, job)
    received = await asyncio.wait_for(first_stream, 10)

    assert [event["id"] for event in received] == [str(number) for number in range(1, 9)]
    assert [(event["type"], event["status"], event["progress"]["done"]) for event in received] == [
        ("status_changed", "queued", 0),
        ("status_changed", "running", 0),
        ("progress", "running", 0),
        ("progress", "running", 1),
        ("status_changed", "waiting", 1),
        ("status_changed", "running", 1),
        ("progress", "running", 2),
        ("status_changed", "completed", 2),
    ]
    assert [event["final"] for event in received] == [False] * 7 + [True]
    assert [event["waiting_reason"] for event in received].count("rate_limited") == 1
    assert received[-1]["status_label"] == "Complete"
    assert received[-1]["counts"]["added"] == 4
    assert await poll_events(client, events_path(job)) == received
    assert await poll_events(client, events_path(job), page_size=3) == received
    for seen in range(9):
        assert await poll_events(client, events_path(job), after=seen) == received[seen:]
        assert await streamed(client, events_path(job), str(seen)) == received[seen:]
        assert await streamed(client, f"{events_path(job)}?after={seen}") == received[seen:]


async def test_interrupted_stream_resumes_without_loss(
    client: httpx.AsyncClient, database: Database, job: SyncJob
) -> None:
    """Disconnect after each event and resume with its id: no event is lost or repeated."""
    working = asyncio.create_task(work_on(database, job))
    received: list[Json] = []
    while not received or not received[-1]["final"]:
        after = received[-1]["id"] if received else None
        reader = Reader()
        async with following(client, events_path(job), after) as answer:
            async for line in answer.aiter_lines():
                if reader.take(line):
                    break
        received += reader.events
    await working

    assert received == await poll_events(client, events_path(job))


async def test_parent_events_sum_up_children(
    client: httpx.AsyncClient, database: Database, workspace_id: UUID
) -> None:
    """Follow a parent job: its first failure shows at once; its last child ends the stream."""
    family = Family(workspace_id, "running", "running", "queued")
    await family.store(database)
    stream = asyncio.create_task(streamed(client, events_path(family.parent)))
    await family.set_status(database, 0, "failed")
    await family.set_status(database, 1, "completed")
    await asyncio.sleep(1.2)
    assert not stream.done()
    await family.set_status(database, 2, "completed")
    received = await asyncio.wait_for(stream, 10)

    shown = [
        (e["status"], e["progress"]["done"], e["progress"]["phase"], e["final"]) for e in received
    ]
    assert shown[-4:] == [
        ("running", 0, "checking_partners", False),
        ("failed", 1, "checking_partners", False),
        ("failed", 2, "checking_partners", False),
        ("failed", 3, "finished", True),
    ]
    assert received == await poll_events(client, events_path(family.parent))


@ONLY_SQLITE
async def test_refused_stream_is_answered_with_problem(
    serving: Served, other_tenant: Tenant, client: httpx.AsyncClient, job: SyncJob
) -> None:
    """Request streams that cannot be opened: each is refused before any event is sent."""
    missing = f"/v1/sync-jobs/{encode('job', new_id())}/events"
    assert_problem(await client.get(missing, headers=ACCEPT), 404, "not_found")
    async with serving.client(other_tenant.api_key) as other:
        assert_problem(await other.get(events_path(job), headers=ACCEPT), 404, "not_found")
    async with serving.client("pck_wrong") as unknown_key:
        assert_problem(await unknown_key.get(events_path(job), headers=ACCEPT), 401)
    wrong = {**ACCEPT, "Last-Event-ID": "1; DROP"}
    assert_problem(await client.get(events_path(job), headers=wrong), 422)
    image = {"Accept": "image/png"}
    assert_problem(await client.get(events_path(job), headers=image), 406, "not_acceptable")


@ONLY_SQLITE
async def test_idle_stream_sends_heartbeats_and_ends(
    settings: Settings,
    keyring: PublicKeyring,
    tenant: Tenant,
    job: SyncJob,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Follow a job without changes: comments come, the stream ends, and it can be resumed."""
    monkeypatch.setattr(stream, "HEARTBEAT_SECONDS", 0.2)
    short_streams = settings.model_copy(update={"event_stream_seconds": 1})
    async with (
        served(create_app(short_streams, keyring)) as serving,
        serving.client(tenant.api_key) as client,
    ):
        reader = Reader()
        async with following(client, events_path(job)) as answer:
            async for line in answer.aiter_lines():
                reader.take(line)
        assert [event["id"] for event in reader.events] == ["1"]
        assert 4 <= reader.comments <= 6
        assert await streamed(client, events_path(job), "1") == []


@ONLY_SQLITE
async def test_open_streams_do_not_block_requests_or_shutdown(
    serving: Served, client: httpx.AsyncClient, database: Database, job: SyncJob
) -> None:
    """Open more streams than there are database connections: lists are answered, and on shutdown
    all streams end at once, each after a complete event.
    """
    streams = [asyncio.create_task(streamed(client, events_path(job))) for _ in range(40)]
    context: ApiContext = serving.server.app.state.context
    while len(context.job_watch._followers) < len(streams):
        await asyncio.sleep(0.01)
    assert (await client.get("/v1/sync-jobs")).status_code == 200

    serving.server.end()
    received = await asyncio.wait_for(asyncio.gather(*streams), 5)
    await asyncio.wait_for(serving.ended, 5)
    assert [[event["id"] for event in events] for events in received] == [["1"]] * len(streams)


@ONLY_SQLITE
async def test_stream_with_slow_client_ends_on_shutdown(
    app: FastAPI, workspace_id: UUID, job: SyncJob
) -> None:
    """Stop the process while a slow client reads an event: the stream waits for no other event."""
    context: ApiContext = app.state.context
    caller = Caller(workspace_id, new_id(), frozenset(), None)
    events = stream.stream(context, caller, job.id, 0)
    assert b": ping" in await anext(events)
    assert b"id: 1" in await anext(events)
    context.stopping.set()
    await asyncio.sleep(0.1)
    async with asyncio.timeout(2):
        assert [piece async for piece in events] == []


@ONLY_POSTGRES
async def test_stream_includes_last_event_of_job_that_ends_during_read(
    app: FastAPI, settings: Settings, workspace_id: UUID, job: SyncJob
) -> None:
    """End the job between the stream's reads: the stream ends with the last event."""
    context: ApiContext = app.state.context
    engine, statements = revisions.sync_engine(settings), context.database.engine.sync_engine

    def end_the_job(*of_statement: Any) -> None:
        if "FROM sync_job_events" in of_statement[2]:
            with Session(engine) as session, session.begin():
                row = session.get_one(SyncJob, job.id)
                row.status, row.phase, row.finished_at = "completed", "finished", now()
                row.last_event += 1
                last = session.get_one(SyncJobEvent, (job.id, 1)).__dict__.copy()
                del last["_sa_instance_state"]
                last |= {"id": row.last_event, "status": row.status, "final": True}
                session.add(SyncJobEvent(**last))

    event.listen(statements, "before_cursor_execute", end_the_job)
    caller = Caller(workspace_id, new_id(), frozenset(), None)
    events = stream.stream(context, caller, job.id, 0)
    async with asyncio.timeout(2):
        received = [piece async for piece in events if b"id: " in piece]
    event.remove(statements, "before_cursor_execute", end_the_job)
    engine.dispose()
    assert [b'"final":true' in piece for piece in received] == [False, True]


@ONLY_SQLITE
async def test_closed_connection_leaves_no_follower(
    serving: Served, client: httpx.AsyncClient, job: SyncJob
) -> None:
    context: ApiContext = serving.server.app.state.context
    async with following(client, events_path(job)) as answer:
        async for line in answer.aiter_lines():
            if line.startswith("id"):
                break
        assert len(context.job_watch._followers) == 1
    async with asyncio.timeout(5):
        while context.job_watch._followers:
            await asyncio.sleep(0.05)


@ONLY_SQLITE
async def test_deleted_job_ends_its_stream(
    client: httpx.AsyncClient, database: Database, job: SyncJob
) -> None:
    """Delete the integration of the job, which deletes the job and its events."""
    stream = asyncio.create_task(streamed(client, events_path(job)))
    await asyncio.sleep(0.7)
    deleted = await client.delete(f"/v1/integrations/{encode('int', job.integration_id)}")
    assert deleted.status_code == 204
    assert [event["id"] for event in await asyncio.wait_for(stream, 5)] == ["1"]


async def test_number_of_progress_events_is_limited(
    api: httpx.AsyncClient, database: Database, job: SyncJob
) -> None:
    """Record at most 100 progress events a phase. A job that restarts its phase again and again has
    `MAX_PROGRESS_EVENTS` events, and after these only changes of its status.
    """
    await change(database, job, status="running", phase="reading_access", total=1_000)
    async with database.writing() as session:
        row = await session.get_one(SyncJob, job.id, with_for_update=True)
        for done in range(1_001):
            async with recorded(session, row):
                row.done = done
    assert len(await poll_events(api, events_path(job), page_size=100)) == 2 + 100

    async with database.writing() as session:
        row = await session.get_one(SyncJob, job.id, with_for_update=True)
        for number in range(2 * MAX_PROGRESS_EVENTS):
            async with recorded(session, row):
                row.done = 1000 * (number % 2)
        for status in ("waiting", "running"):
            async with recorded(session, row):
                row.status = status
        async with recorded(session, row):
            row.status, row.phase = "completed", "finished"
    received = await poll_events(api, events_path(job), page_size=100)
    assert len(received) == MAX_PROGRESS_EVENTS + 3
    assert [event["status"] for event in received[-3:]] == ["waiting", "running", "completed"]
    assert received[-1]["final"]


@ONLY_SQLITE
async def test_rolled_back_change_has_no_event(
    api: httpx.AsyncClient, database: Database, job: SyncJob
) -> None:
    async with database.writing() as session:
        row = await session.get_one(SyncJob, job.id, with_for_update=True)
        async with recorded(session, row):
            row.status = "running"
        await session.flush()
        await session.rollback()
    assert [event["status"] for event in await poll_events(api, events_path(job))] == ["queued"]


FOLLOWED = {"status", "waiting_reason", "resume_at", "phase", "done", "total", "last_event"}
# Variables that hold rows of other tables, which have columns of the same names.
OTHER_ROWS = {"delivery", "endpoint", "row", "self", "validation"}


def unrecorded_changes(tree: ast.AST, recorded_names: frozenset[str] = frozenset()) -> list[str]:
    """Return the assignments to `FOLLOWED` columns outside a `recorded` block of that job."""
    found = []
    for node in ast.iter_child_nodes(tree):
        names = recorded_names
        if isinstance(node, ast.AsyncWith):
            for item in node.items:
                call = item.context_expr
                if isinstance(call, ast.Call) and ast.unparse(call.func) == "recorded":
                    names |= {ast.unparse(call.args[1])}
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store)
            and node.attr in FOLLOWED
            and ast.unparse(node.value) not in names | OTHER_ROWS
        ):
            found.append(f"line {node.lineno}: {ast.unparse(node)}")
        found += unrecorded_changes(node, names)
    return found


def test_code_changes_jobs_in_recorded_blocks_only() -> None:
    """Search the sources for changes of a job outside a `recorded` block."""
    sources = Path(partner_connector.__file__).parent
    wrong = "job.status = 'failed'\nasync with recorded(session, job):\n    other.done += 1"
    assert len(unrecorded_changes(ast.parse(wrong))) == 2
    right = "async with recorded(session, job):\n    job.phase, job.done = 'applying', 0"
    assert unrecorded_changes(ast.parse(right)) == []
    found = {
        str(path.relative_to(sources)): unrecorded_changes(ast.parse(path.read_text("utf-8")))
        for path in sources.rglob("*.py")
        if "worker/meta" not in path.as_posix()  # answers of Meta; this package changes no rows
    }
    assert {path: lines for path, lines in found.items() if lines} == {
        "features/sync_jobs/recording.py": found["features/sync_jobs/recording.py"]
    }
    [counted] = found["features/sync_jobs/recording.py"]
    assert counted.endswith("job.last_event")


def test_code_changes_no_job_by_sql_statement() -> None:
    """Search the sources for SQL statements on jobs, which would record no event."""
    statement = re.compile(r"\b(update|insert|upsert|write_rows)\([^)]*\bSyncJob\b")
    sources = Path(partner_connector.__file__).parent.rglob("*.py")
    texts = {path: path.read_text(encoding="utf-8") for path in sources}

    assert statement.search("update(SyncJob).values(status='x')")
    assert [path for path, text in texts.items() if statement.search(text)] == []
    assert [path for path, text in texts.items() if "UPDATE sync_jobs" in text] == []
