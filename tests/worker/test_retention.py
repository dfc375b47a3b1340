"""Retention: old finished jobs, validations and tokens are deleted, and nothing else."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import func, select

from partner_connector.clock import now
from partner_connector.db.engine import Database
from partner_connector.db.models import (
    Change,
    Integration,
    Partner,
    SyncJob,
    SyncJobEvent,
    Token,
    TokenRequest,
    TokenValidation,
)
from partner_connector.ids import encode
from partner_connector.worker.context import WorkerContext
from partner_connector.worker.maintenance.batched_delete import BATCH_SIZE
from partner_connector.worker.maintenance.retention import (
    delete_old_jobs,
    delete_old_tokens,
    delete_old_validations,
)
from tests.api import rows

OLD, RECENT = now() - timedelta(days=31), now() - timedelta(days=29)


@pytest.fixture
async def integration(database: Database, workspace_id: UUID) -> Integration:
    """The connection to our own business."""
    made = rows.integration(workspace_id)
    await rows.store(database, made)
    return made


async def make_partner(database: Database, integration: Integration) -> Partner:
    """Store one more partner."""
    made = rows.partner(integration)
    await rows.store(database, made)
    return made


async def make_jobs(database: Database, of: Partner, *each: dict[str, Any]) -> list[SyncJob]:
    """Store jobs of the partner, oldest first.

    They are old and finished unless the values differ.
    """
    given = {"phase": "finished", "finished_at": OLD}
    made = [rows.sync_job(of, **(given | values)) for values in each]
    await rows.store(database, *made)
    return made


async def make_parent_job(database: Database, of: Integration, **values: Any) -> SyncJob:
    """Store a parent job. It is old and finished unless the values differ."""
    given = {
        "partner_id": None,
        "task": "sync_integration",
        "phase": "finished",
        "finished_at": OLD,
        "own_work_done": True,
    }
    made = rows.sync_job(rows.partner(of), **(given | values))
    await rows.store(database, made)
    return made


async def are_left(database: Database, *jobs: SyncJob) -> list[bool]:
    """Return for each job whether it still exists."""
    async with database.reading() as session:
        existing = set(await session.scalars(select(SyncJob.id)))
    return [job.id in existing for job in jobs]


async def test_last_job_and_last_complete_job_are_kept(
    context: WorkerContext,
    other_context: WorkerContext,
    database: Database,
    integration: Integration,
) -> None:
    """Keep both for each partner at any age, while two workers delete at once."""
    failing = await make_jobs(
        database,
        await make_partner(database, integration),
        {},
        {},
        {"status": "failed"},
        {"status": "cancelled"},
        {"status": "failed"},
    )
    well = await make_jobs(
        database, await make_partner(database, integration), {"status": "failed"}, {}, {}
    )
    never = await make_jobs(
        database,
        await make_partner(database, integration),
        {"status": "failed"},
        {"status": "failed"},
    )
    await asyncio.gather(delete_old_jobs(context), delete_old_jobs(other_context))
    assert await are_left(database, *failing) == [False, True, False, False, True]
    assert await are_left(database, *well) == [False, False, True]
    assert await are_left(database, *never) == [False, True]


@pytest.mark.parametrize(
    "values",
    [
        {"finished_at": RECENT},
        {"status": "queued", "finished_at": None},
        {"status": "running", "finished_at": None},
        {"status": "waiting", "finished_at": None},
        {"status": "halted", "finished_at": None},
    ],
    ids=lambda values: values.get("status", "recent"),
)
async def test_recent_or_unfinished_job_is_kept(
    context: WorkerContext, database: Database, integration: Integration, values: dict[str, Any]
) -> None:
    """Keep a job that started long ago and still runs or waits."""
    partner = await make_partner(database, integration)
    kept_job, deleted, last = await make_jobs(
        database, partner, values, {}, {"finished_at": RECENT}
    )
    await delete_old_jobs(context)
    assert await are_left(database, kept_job, deleted, last) == [True, False, True]


async def test_parent_job_is_kept_as_long_as_a_child_job(
    context: WorkerContext, database: Database, integration: Integration
) -> None:
    """Keep child jobs until the parent job is over, and always keep the last parent job."""
    one, other = [await make_partner(database, integration) for _ in range(2)]
    deleted = await make_parent_job(database, integration)
    (child_of_deleted,) = await make_jobs(database, one, {"parent_id": deleted.id})
    # Partners without a later job.
    kept = await make_parent_job(database, integration)
    children_of_kept = await make_jobs(database, one, {"parent_id": kept.id})
    children_of_kept += await make_jobs(database, other, {"parent_id": kept.id})
    # A plan of a child job waits for approval, so the parent job will change once more.
    open_ = await make_parent_job(database, integration, status="failed", phase="checking_partners")
    waiting = {"parent_id": open_.id, "status": "halted", "finished_at": None}
    children_of_open = await make_jobs(database, one, {"parent_id": open_.id})
    children_of_open += await make_jobs(database, other, waiting)
    last = await make_parent_job(database, integration)
    await make_jobs(database, one, {})
    await delete_old_jobs(context)
    assert await are_left(database, deleted, child_of_deleted) == [False, False]
    assert await are_left(database, kept, *children_of_kept) == [True, False, True]
    assert await are_left(database, open_, *children_of_open) == [True, True, True]
    assert await are_left(database, last) == [True]


async def test_changes_are_kept_and_job_events_are_deleted(
    context: WorkerContext, database: Database, integration: Integration
) -> None:
    """Delete the events with their job, in any number of batches, and never the change feed."""
    partner = await make_partner(database, integration)
    jobs = await make_jobs(database, partner, *[{} for _ in range(2 * BATCH_SIZE + 1)])
    await rows.publish(database, rows.change(partner, job_id=jobs[0].id))
    await delete_old_jobs(context)
    async with database.reading() as session:
        assert list(await session.scalars(select(SyncJob.id))) == [jobs[-1].id]
        assert list(await session.scalars(select(SyncJobEvent.job_id))) == [jobs[-1].id]
        assert list(await session.scalars(select(Change.job_id))) == [jobs[0].id]


async def test_deleted_job_is_not_found_in_api(
    api: httpx.AsyncClient, context: WorkerContext, database: Database, integration: Integration
) -> None:
    """Answer 404, as for an unknown job, and let a client finish a list that it is reading."""
    partner = await make_partner(database, integration)
    jobs = await make_jobs(database, partner, {}, {}, {}, {}, {"finished_at": RECENT})
    paths = [f"/v1/sync-jobs/{encode('job', job.id)}" for job in jobs]
    seen = await api.get(paths[0])
    page = (await api.get("/v1/sync-jobs", params={"page_size": 1})).json()
    await delete_old_jobs(context)
    for path in (paths[0], f"{paths[0]}/events", f"{paths[0]}/plan"):
        answer = await api.get(path, headers={"If-None-Match": seen.headers["etag"]})
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    cancelled = await api.post(f"{paths[0]}/cancel", json={})
    assert (cancelled.status_code, cancelled.json()["code"]) == (404, "not_found")
    assert (await api.get(paths[-1])).status_code == 200
    following = {"page_size": 1, "cursor": page["next_cursor"]}
    answer = await api.get("/v1/sync-jobs", params=following)
    assert (answer.status_code, answer.json()) == (200, {"items": [], "next_cursor": None})


async def test_old_validations_of_unused_tokens_are_deleted(
    context: WorkerContext,
    other_context: WorkerContext,
    database: Database,
    integration: Integration,
) -> None:
    """Keep the last validation of a partner and of its active token, which the checklist shows, and
    recent and running validations.
    """
    old = {"completed_at": OLD}
    partner, lone = [await make_partner(database, integration) for _ in range(2)]
    active = rows.token(partner, version=2)
    wiped = [
        rows.token(of, version=version, state="wiped", sealed=None)
        for of, version in ((partner, 1), (partner, 3), (lone, 1))
    ]
    ours = rows.token(partner, partner_id=None, version=1, state="superseded", sealed=None)
    deleted_rows = [rows.validation(wiped[0], **old), rows.validation(ours, **old)]
    kept_rows = [
        rows.validation(active, **old),
        rows.validation(wiped[1], **old),
        rows.validation(wiped[2], status="running", verdict=None),
        rows.validation(wiped[2], completed_at=RECENT),
        rows.validation(wiped[2], **old),
    ]
    link = rows.token_request(partner, state="rejected", validation_id=deleted_rows[0].id)
    await rows.store(database, active, *wiped, ours, *deleted_rows, *kept_rows, link)
    await asyncio.gather(delete_old_validations(context), delete_old_validations(other_context))
    async with database.reading() as session:
        existing = set(await session.scalars(select(TokenValidation.id)))
        assert existing == {validation.id for validation in kept_rows}
        assert (await session.get_one(TokenRequest, link.id)).validation_id is None
        assert await session.scalar(select(func.count()).select_from(TokenRequest)) == 1


async def test_old_tokens_are_deleted_after_their_validations(
    context: WorkerContext,
    other_context: WorkerContext,
    database: Database,
    integration: Integration,
) -> None:
    """Keep the newest version of each owner, and tokens in use, being validated or recent."""
    old: dict[str, Any] = {"created_at": OLD}
    partner = await make_partner(database, integration)
    without_ciphertext = {**old, "sealed": None}
    deleted_rows = [
        rows.token(partner, version=1, state="wiped", **without_ciphertext),
        rows.token(partner, version=2, state="superseded", **without_ciphertext),
        rows.token(partner, partner_id=None, version=1, state="superseded", **without_ciphertext),
    ]
    kept_rows = [
        rows.token(partner, version=3, **old),
        rows.token(partner, version=4, state="candidate", **old),
        rows.token(partner, version=5, state="wiped", **without_ciphertext),
        rows.token(partner, version=6, state="wiped", sealed=None, created_at=RECENT),
        rows.token(partner, version=7, state="wiped", **without_ciphertext),
        rows.token(partner, partner_id=None, version=2, state="wiped", **without_ciphertext),
    ]
    validation = rows.validation(kept_rows[2], completed_at=RECENT)
    await rows.store(database, *deleted_rows, *kept_rows, validation)
    await asyncio.gather(delete_old_tokens(context), delete_old_tokens(other_context))
    async with database.reading() as session:
        existing = set(await session.scalars(select(Token.id)))
    assert existing == {token.id for token in kept_rows}
