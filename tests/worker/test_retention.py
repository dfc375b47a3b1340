"""What is over and old is deleted, and nothing else."""

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
from partner_connector.worker.context import Workshop
from partner_connector.worker.maintenance.batched_delete import ROWS_AT_A_TIME
from partner_connector.worker.maintenance.retention import (
    delete_old_jobs,
    delete_old_proofs,
    delete_old_tokens,
)
from tests.api import rows

OLD, YOUNG = now() - timedelta(days=31), now() - timedelta(days=29)


@pytest.fixture
async def integration(database: Database, workspace_id: UUID) -> Integration:
    """Our own business."""
    made = rows.integration(workspace_id)
    await rows.store(database, made)
    return made


async def a_partner(database: Database, integration: Integration) -> Partner:
    """One more."""
    made = rows.partner(integration)
    await rows.store(database, made)
    return made


async def checks(database: Database, of: Partner, *each: dict[str, Any]) -> list[SyncJob]:
    """Checks of the partner, one after the other; old and finished unless told otherwise."""
    given = {"phase": "finished", "finished_at": OLD}
    made = [rows.sync_job(of, **(given | values)) for values in each]
    await rows.store(database, *made)
    return made


async def parent(database: Database, of: Integration, **values: Any) -> SyncJob:
    """A check of all partners, old and finished unless told otherwise."""
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


async def left(database: Database, *jobs: SyncJob) -> list[bool]:
    """Which of the jobs are still there."""
    async with database.reading() as session:
        there = set(await session.scalars(select(SyncJob.id)))
    return [job.id in there for job in jobs]


async def test_the_last_check_and_the_last_complete_one_stay(
    shop: Workshop, other_shop: Workshop, database: Database, integration: Integration
) -> None:
    """Of each partner, however old they are; two workers sweep at once."""
    failing = await checks(
        database,
        await a_partner(database, integration),
        {},
        {},
        {"status": "failed"},
        {"status": "cancelled"},
        {"status": "failed"},
    )
    well = await checks(
        database, await a_partner(database, integration), {"status": "failed"}, {}, {}
    )
    never = await checks(
        database,
        await a_partner(database, integration),
        {"status": "failed"},
        {"status": "failed"},
    )
    await asyncio.gather(delete_old_jobs(shop), delete_old_jobs(other_shop))
    assert await left(database, *failing) == [False, True, False, False, True]
    assert await left(database, *well) == [False, False, True]
    assert await left(database, *never) == [False, True]


@pytest.mark.parametrize(
    "values",
    [
        {"finished_at": YOUNG},
        {"status": "queued", "finished_at": None},
        {"status": "running", "finished_at": None},
        {"status": "waiting", "finished_at": None},
        {"status": "halted", "finished_at": None},
    ],
    ids=lambda values: values.get("status", "young"),
)
async def test_what_is_young_or_goes_on_stays(
    shop: Workshop, database: Database, integration: Integration, values: dict[str, Any]
) -> None:
    """A check that began long ago may still be under way, or wait for an answer."""
    partner = await a_partner(database, integration)
    goes_on, gone, last = await checks(database, partner, values, {}, {"finished_at": YOUNG})
    await delete_old_jobs(shop)
    assert await left(database, goes_on, gone, last) == [True, False, True]


async def test_a_check_of_all_partners_stays_as_long_as_a_part_of_it(
    shop: Workshop, database: Database, integration: Integration
) -> None:
    """Its parts stay until all of it is over. The last one of the integration stays in any case."""
    one, other = [await a_partner(database, integration) for _ in range(2)]
    gone = await parent(database, integration)
    (part_of_gone,) = await checks(database, one, {"parent_id": gone.id})
    # Partners of which there has been no check since.
    kept = await parent(database, integration)
    of_kept = await checks(database, one, {"parent_id": kept.id})
    of_kept += await checks(database, other, {"parent_id": kept.id})
    # A plan in it waits for an answer: it has ended, and will change once more.
    open_ = await parent(database, integration, status="failed", phase="checking_partners")
    waits = {"parent_id": open_.id, "status": "halted", "finished_at": None}
    of_open = await checks(database, one, {"parent_id": open_.id})
    of_open += await checks(database, other, waits)
    last = await parent(database, integration)
    await checks(database, one, {})
    await delete_old_jobs(shop)
    assert await left(database, gone, part_of_gone) == [False, False]
    assert await left(database, kept, *of_kept) == [True, False, True]
    assert await left(database, open_, *of_open) == [True, True, True]
    assert await left(database, last) == [True]


async def test_what_a_check_found_stays_and_how_it_did_goes(
    shop: Workshop, database: Database, integration: Integration
) -> None:
    """Its events go with it, however many pieces it takes; the feed of changes is never cut."""
    partner = await a_partner(database, integration)
    jobs = await checks(database, partner, *[{} for _ in range(2 * ROWS_AT_A_TIME + 1)])
    await rows.publish(database, rows.change(partner, job_id=jobs[0].id))
    await delete_old_jobs(shop)
    async with database.reading() as session:
        assert list(await session.scalars(select(SyncJob.id))) == [jobs[-1].id]
        assert list(await session.scalars(select(SyncJobEvent.job_id))) == [jobs[-1].id]
        assert list(await session.scalars(select(Change.job_id))) == [jobs[0].id]


async def test_the_api_knows_a_deleted_check_no_more(
    api: httpx.AsyncClient, shop: Workshop, database: Database, integration: Integration
) -> None:
    """404, as for one that never was; a list that somebody walks meanwhile goes on."""
    partner = await a_partner(database, integration)
    jobs = await checks(database, partner, {}, {}, {}, {}, {"finished_at": YOUNG})
    paths = [f"/v1/sync-jobs/{encode('job', job.id)}" for job in jobs]
    seen = await api.get(paths[0])
    page = (await api.get("/v1/sync-jobs", params={"page_size": 1})).json()
    await delete_old_jobs(shop)
    for path in (paths[0], f"{paths[0]}/events", f"{paths[0]}/plan"):
        answer = await api.get(path, headers={"If-None-Match": seen.headers["etag"]})
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    cancelled = await api.post(f"{paths[0]}/cancel", json={})
    assert (cancelled.status_code, cancelled.json()["code"]) == (404, "not_found")
    assert (await api.get(paths[-1])).status_code == 200
    following = {"page_size": 1, "cursor": page["next_cursor"]}
    answer = await api.get("/v1/sync-jobs", params=following)
    assert (answer.status_code, answer.json()) == (200, {"items": [], "next_cursor": None})


async def test_proofs_of_tokens_that_are_not_in_use_go(
    shop: Workshop, other_shop: Workshop, database: Database, integration: Integration
) -> None:
    """The checklist of a partner is read from the last one, or from that of its active token: those
    stay, and the young, and what is still being proven.
    """
    old = {"completed_at": OLD}
    partner, lone = [await a_partner(database, integration) for _ in range(2)]
    active = rows.token(partner, version=2)
    wiped = [
        rows.token(of, version=version, state="wiped", sealed=None)
        for of, version in ((partner, 1), (partner, 3), (lone, 1))
    ]
    ours = rows.token(partner, partner_id=None, version=1, state="superseded", sealed=None)
    going = [rows.validation(wiped[0], **old), rows.validation(ours, **old)]
    staying = [
        rows.validation(active, **old),
        rows.validation(wiped[1], **old),
        rows.validation(wiped[2], status="running", verdict=None),
        rows.validation(wiped[2], completed_at=YOUNG),
        rows.validation(wiped[2], **old),
    ]
    link = rows.token_request(partner, state="rejected", validation_id=going[0].id)
    await rows.store(database, active, *wiped, ours, *going, *staying, link)
    await asyncio.gather(delete_old_proofs(shop), delete_old_proofs(other_shop))
    async with database.reading() as session:
        there = set(await session.scalars(select(TokenValidation.id)))
        assert there == {proof.id for proof in staying}
        assert (await session.get_one(TokenRequest, link.id)).validation_id is None
        assert await session.scalar(select(func.count()).select_from(TokenRequest)) == 1


async def test_what_is_left_of_tokens_goes_after_their_proofs(
    shop: Workshop, other_shop: Workshop, database: Database, integration: Integration
) -> None:
    """Not the newest version of an owner's, and none that is in use, under proof or young."""
    old: dict[str, Any] = {"created_at": OLD}
    partner = await a_partner(database, integration)
    gone = {**old, "sealed": None}
    going = [
        rows.token(partner, version=1, state="wiped", **gone),
        rows.token(partner, version=2, state="superseded", **gone),
        rows.token(partner, partner_id=None, version=1, state="superseded", **gone),
    ]
    staying = [
        rows.token(partner, version=3, **old),
        rows.token(partner, version=4, state="candidate", **old),
        rows.token(partner, version=5, state="wiped", **gone),
        rows.token(partner, version=6, state="wiped", sealed=None, created_at=YOUNG),
        rows.token(partner, version=7, state="wiped", **gone),
        rows.token(partner, partner_id=None, version=2, state="wiped", **gone),
    ]
    proof = rows.validation(staying[2], completed_at=YOUNG)
    await rows.store(database, *going, *staying, proof)
    await asyncio.gather(delete_old_tokens(shop), delete_old_tokens(other_shop))
    async with database.reading() as session:
        there = set(await session.scalars(select(Token.id)))
    assert there == {token.id for token in staying}
