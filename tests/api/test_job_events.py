"""What happens to a job is told once, in order, in pages and in streams alike."""

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
from partner_connector.features.sync_jobs.recording import MOST_PROGRESS, recorded
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
    """The API behind a socket."""
    async with served(create_app(settings, keyring)) as started:
        yield started


@pytest.fixture
async def client(serving: Served, tenant: Tenant) -> AsyncIterator[httpx.AsyncClient]:
    """A client of it."""
    async with serving.client(tenant.api_key) as opened:
        yield opened


@pytest.fixture
async def job(database: Database, workspace_id: UUID) -> SyncJob:
    """One that has just been asked for."""
    ours = rows.integration(workspace_id)
    theirs = rows.partner(ours)
    made = rows.sync_job(theirs, status="queued")
    await rows.store(database, ours, theirs, made)
    return made


def path_of(job: SyncJob) -> str:
    """Where its events are."""
    return f"/v1/sync-jobs/{encode('job', job.id)}/events"


async def change(database: Database, job: SyncJob, **values: Any) -> None:
    """As whoever works on the job does it: under its lock, in a transaction."""
    async with database.writing() as session:
        mine = await session.get_one(SyncJob, job.id, with_for_update=True)
        async with recorded(session, mine):
            for name, value in values.items():
                setattr(mine, name, value)


async def work_on(database: Database, job: SyncJob) -> None:
    """A short check with all that can happen to one."""
    await change(database, job, status="running", started_at=now())
    await change(database, job, phase="reading_access", done=0, total=3)
    await change(database, job, done=1)
    later = now()
    waiting = {"waiting_reason": "rate_limited", "resume_at": later, "attempt": 2}
    await change(database, job, status="waiting", **waiting)
    await change(database, job, status="running", waiting_reason=None, resume_at=None)
    await change(database, job, done=2)
    await change(database, job, status="completed", phase="finished", added=4, finished_at=now())


async def polled(client: httpx.AsyncClient, path: str, **params: Any) -> list[Json]:
    """Every event, page by page."""
    items: list[Json] = []
    while True:
        answer = await client.get(path, params=params)
        assert answer.status_code == 200, answer.text
        items += answer.json()["items"]
        if answer.json()["next_cursor"] is None:
            return items
        params["cursor"] = answer.json()["next_cursor"]


async def test_pages_and_streams_tell_the_same(
    client: httpx.AsyncClient, database: Database, job: SyncJob
) -> None:
    """A stream that was there from the beginning, one that came later, pages: all events once. And
    whoever comes back with any of the ids gets exactly the rest, in each way.
    """
    from_the_beginning = asyncio.create_task(streamed(client, path_of(job)))
    await work_on(database, job)
    told = await asyncio.wait_for(from_the_beginning, 10)

    assert [event["id"] for event in told] == [str(number) for number in range(1, 9)]
    assert [(event["type"], event["status"], event["progress"]["done"]) for event in told] == [
        ("status_changed", "queued", 0),
        ("status_changed", "running", 0),
        ("progress", "running", 0),
        ("progress", "running", 1),
        ("status_changed", "waiting", 1),
        ("status_changed", "running", 1),
        ("progress", "running", 2),
        ("status_changed", "completed", 2),
    ]
    assert [event["final"] for event in told] == [False] * 7 + [True]
    assert [event["waiting_reason"] for event in told].count("rate_limited") == 1
    assert told[-1]["status_label"] == "Complete"
    assert told[-1]["counts"]["added"] == 4
    assert await polled(client, path_of(job)) == told
    assert await polled(client, path_of(job), page_size=3) == told
    for seen in range(9):
        assert await polled(client, path_of(job), after=seen) == told[seen:]
        assert await streamed(client, path_of(job), str(seen)) == told[seen:]
        assert await streamed(client, f"{path_of(job)}?after={seen}") == told[seen:]


async def test_a_broken_stream_is_taken_up_again(
    client: httpx.AsyncClient, database: Database, job: SyncJob
) -> None:
    """The client goes after each event and comes back: nothing is lost, nothing comes twice."""
    working = asyncio.create_task(work_on(database, job))
    told: list[Json] = []
    while not told or not told[-1]["final"]:
        after = told[-1]["id"] if told else None
        reader = Reader()
        async with following(client, path_of(job), after) as answer:
            async for line in answer.aiter_lines():
                if reader.take(line):
                    break
        told += reader.events
    await working

    assert told == await polled(client, path_of(job))


async def test_a_parent_tells_what_its_children_add_up_to(
    client: httpx.AsyncClient, database: Database, workspace_id: UUID
) -> None:
    """Its stream shows the first failure at once, and ends when the last child has."""
    family = Family(workspace_id, "running", "running", "queued")
    await family.store(database)
    stream = asyncio.create_task(streamed(client, path_of(family.parent)))
    await family.move(database, 0, "failed")
    await family.move(database, 1, "completed")
    await asyncio.sleep(1.2)
    assert not stream.done()
    await family.move(database, 2, "completed")
    told = await asyncio.wait_for(stream, 10)

    shown = [(e["status"], e["progress"]["done"], e["progress"]["phase"], e["final"]) for e in told]
    assert shown[-4:] == [
        ("running", 0, "checking_partners", False),
        ("failed", 1, "checking_partners", False),
        ("failed", 2, "checking_partners", False),
        ("failed", 3, "finished", True),
    ]
    assert told == await polled(client, path_of(family.parent))


@ONLY_SQLITE
async def test_who_may_not_follow_gets_a_problem(
    serving: Served, stranger: Tenant, client: httpx.AsyncClient, job: SyncJob
) -> None:
    """Nothing of a stream is sent before it is sure that there is one."""
    never = f"/v1/sync-jobs/{encode('job', new_id())}/events"
    assert_problem(await client.get(never, headers=ACCEPT), 404, "not_found")
    async with serving.client(stranger.api_key) as other:
        assert_problem(await other.get(path_of(job), headers=ACCEPT), 404, "not_found")
    async with serving.client("pck_wrong") as nobody:
        assert_problem(await nobody.get(path_of(job), headers=ACCEPT), 401)
    wrong = {**ACCEPT, "Last-Event-ID": "1; DROP"}
    assert_problem(await client.get(path_of(job), headers=wrong), 422)
    pictures = {"Accept": "image/png"}
    assert_problem(await client.get(path_of(job), headers=pictures), 406, "not_acceptable")


@ONLY_SQLITE
async def test_silence_is_filled_and_bounded(
    settings: Settings,
    keyring: PublicKeyring,
    tenant: Tenant,
    job: SyncJob,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Comments while nothing happens; in the end the stream ends, whole, and can be taken up."""
    monkeypatch.setattr(stream, "HEARTBEAT_SECONDS", 0.2)
    brief = settings.model_copy(update={"event_stream_seconds": 1})
    async with (
        served(create_app(brief, keyring)) as serving,
        serving.client(tenant.api_key) as client,
    ):
        reader = Reader()
        async with following(client, path_of(job)) as answer:
            async for line in answer.aiter_lines():
                reader.take(line)
        assert [event["id"] for event in reader.events] == ["1"]
        assert 4 <= reader.comments <= 6
        assert await streamed(client, path_of(job), "1") == []


@ONLY_SQLITE
async def test_streams_hold_up_nobody(
    serving: Served, client: httpx.AsyncClient, database: Database, job: SyncJob
) -> None:
    """More streams than there are connections to the database: lists answer, and when the process
    has to end, all streams end at once and whole.
    """
    many = [asyncio.create_task(streamed(client, path_of(job))) for _ in range(40)]
    context: ApiContext = serving.server.app.state.context
    while len(context.job_watch._followers) < len(many):
        await asyncio.sleep(0.01)
    assert (await client.get("/v1/sync-jobs")).status_code == 200

    serving.server.end()
    told = await asyncio.wait_for(asyncio.gather(*many), 5)
    await asyncio.wait_for(serving.ended, 5)
    assert [[event["id"] for event in events] for events in told] == [["1"]] * len(many)


@ONLY_SQLITE
async def test_a_stream_that_is_busy_when_the_process_has_to_end(
    app: FastAPI, workspace_id: UUID, job: SyncJob
) -> None:
    """It is told while it hands out an event to a slow client, and does not wait for the next."""
    context: ApiContext = app.state.context
    caller = Caller(workspace_id, new_id(), frozenset(), None)
    events = stream.stream(context, caller, job.id, 0)
    assert b": ping" in await anext(events)
    assert b"id: 1" in await anext(events)
    context.draining.set()
    await asyncio.sleep(0.1)
    async with asyncio.timeout(2):
        assert [piece async for piece in events] == []


@ONLY_POSTGRES
async def test_a_stream_that_reads_while_the_job_ends(
    app: FastAPI, settings: Settings, workspace_id: UUID, job: SyncJob
) -> None:
    """The job was seen to go on, and then its last event: the stream ends with it."""
    context: ApiContext = app.state.context
    engine, statements = revisions.sync_engine(settings), context.database.engine.sync_engine

    def end_the_job(*of_statement: Any) -> None:
        if "FROM sync_job_events" in of_statement[2]:
            with Session(engine) as session, session.begin():
                mine = session.get_one(SyncJob, job.id)
                mine.status, mine.phase, mine.finished_at = "completed", "finished", now()
                mine.last_event += 1
                last = session.get_one(SyncJobEvent, (job.id, 1)).__dict__.copy()
                del last["_sa_instance_state"]
                last |= {"id": mine.last_event, "status": mine.status, "final": True}
                session.add(SyncJobEvent(**last))

    event.listen(statements, "before_cursor_execute", end_the_job)
    caller = Caller(workspace_id, new_id(), frozenset(), None)
    events = stream.stream(context, caller, job.id, 0)
    async with asyncio.timeout(2):
        told = [piece async for piece in events if b"id: " in piece]
    event.remove(statements, "before_cursor_execute", end_the_job)
    engine.dispose()
    assert [b'"final":true' in piece for piece in told] == [False, True]


@ONLY_SQLITE
async def test_whoever_hangs_up_is_forgotten(
    serving: Served, client: httpx.AsyncClient, job: SyncJob
) -> None:
    """A closed connection leaves no follower behind."""
    context: ApiContext = serving.server.app.state.context
    async with following(client, path_of(job)) as answer:
        async for line in answer.aiter_lines():
            if line.startswith("id"):
                break
        assert len(context.job_watch._followers) == 1
    async with asyncio.timeout(5):
        while context.job_watch._followers:
            await asyncio.sleep(0.05)


@ONLY_SQLITE
async def test_a_job_that_is_deleted_ends_its_stream(
    client: httpx.AsyncClient, database: Database, job: SyncJob
) -> None:
    """With its partner's integration everything is gone, its events too."""
    stream = asyncio.create_task(streamed(client, path_of(job)))
    await asyncio.sleep(0.7)
    gone = await client.delete(f"/v1/integrations/{encode('int', job.integration_id)}")
    assert gone.status_code == 204
    assert [event["id"] for event in await asyncio.wait_for(stream, 5)] == ["1"]


async def test_a_job_tells_so_much_and_no_more(
    api: httpx.AsyncClient, database: Database, job: SyncJob
) -> None:
    """A hundred steps a phase, however small each one is; and when Meta makes it begin again and
    again, in the end only what its status is.
    """
    await change(database, job, status="running", phase="reading_access", total=1_000)
    async with database.writing() as session:
        mine = await session.get_one(SyncJob, job.id, with_for_update=True)
        for done in range(1_001):
            async with recorded(session, mine):
                mine.done = done
    assert len(await polled(api, path_of(job), page_size=100)) == 2 + 100

    async with database.writing() as session:
        mine = await session.get_one(SyncJob, job.id, with_for_update=True)
        for number in range(2 * MOST_PROGRESS):
            async with recorded(session, mine):
                mine.done = 1000 * (number % 2)
        for status in ("waiting", "running"):
            async with recorded(session, mine):
                mine.status = status
        async with recorded(session, mine):
            mine.status, mine.phase = "completed", "finished"
    told = await polled(api, path_of(job), page_size=100)
    assert len(told) == MOST_PROGRESS + 3
    assert [event["status"] for event in told[-3:]] == ["waiting", "running", "completed"]
    assert told[-1]["final"]


@ONLY_SQLITE
async def test_what_is_rolled_back_was_not_told(
    api: httpx.AsyncClient, database: Database, job: SyncJob
) -> None:
    """An event exists if and only if the change does."""
    async with database.writing() as session:
        mine = await session.get_one(SyncJob, job.id, with_for_update=True)
        async with recorded(session, mine):
            mine.status = "running"
        await session.flush()
        await session.rollback()
    assert [event["status"] for event in await polled(api, path_of(job))] == ["queued"]


FOLLOWED = {"status", "waiting_reason", "resume_at", "phase", "done", "total", "last_event"}
# Names under which rows of other tables change columns of the same names.
OTHER_ROWS = {"delivery", "endpoint", "row", "self", "validation"}


def changed_past_events(tree: ast.AST, recorded_names: frozenset[str] = frozenset()) -> list[str]:
    """Assignments to what readers of a job follow, outside of a `recorded` block of that job."""
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
        found += changed_past_events(node, names)
    return found


def test_no_job_is_changed_without_its_event() -> None:
    """Every change that readers follow stands in a block that records it."""
    sources = Path(partner_connector.__file__).parent
    wrong = "job.status = 'failed'\nasync with recorded(session, job):\n    other.done += 1"
    assert len(changed_past_events(ast.parse(wrong))) == 2
    right = "async with recorded(session, job):\n    job.phase, job.done = 'applying', 0"
    assert changed_past_events(ast.parse(right)) == []
    found = {
        str(path.relative_to(sources)): changed_past_events(ast.parse(path.read_text("utf-8")))
        for path in sources.rglob("*.py")
        if "worker/meta" not in path.as_posix()  # what Meta answers; no row is known there
    }
    assert {path: lines for path, lines in found.items() if lines} == {
        "features/sync_jobs/recording.py": found["features/sync_jobs/recording.py"]
    }
    [counted] = found["features/sync_jobs/recording.py"]
    assert counted.endswith("job.last_event")


def test_no_job_is_changed_past_its_events() -> None:
    """Events are written where a session writes jobs: nobody writes them by a statement."""
    statement = re.compile(r"\b(update|insert|upsert|write_rows)\([^)]*\bSyncJob\b")
    sources = Path(partner_connector.__file__).parent.rglob("*.py")
    texts = {path: path.read_text(encoding="utf-8") for path in sources}

    assert statement.search("update(SyncJob).values(status='x')")
    assert [path for path, text in texts.items() if statement.search(text)] == []
    assert [path for path, text in texts.items() if "UPDATE sync_jobs" in text] == []
