"""Handing over by a link: every state of it, and what ends it."""

import asyncio
from collections.abc import Iterator, Mapping
from datetime import timedelta

import httpx
import pytest

from partner_connector.db.engine import Database
from partner_connector.db.models import SyncJob
from partner_connector.durable.engine import WorkQueue
from partner_connector.features.audit.chain import PURPOSE
from partner_connector.features.audit.service import Recorder
from partner_connector.ids import decode
from partner_connector.sealing.keyring import KeyringFile
from partner_connector.sealing.private import PrivateKeyring
from partner_connector.sealing.public import PublicKeyring, SealedToken
from partner_connector.settings import Settings
from tests.api import rows
from tests.api.engine_rows import enqueued
from tests.api.hand_over import Judge, Link, make_link
from tests.api.problems import assert_problem
from tests.api.surface import TOKEN
from tests.api.world import World

ONLY_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
async def link(api: httpx.AsyncClient, database: Database, world: World) -> Link:
    """A link for the world's partner, just made."""
    return await make_link(api, database, world)


@pytest.fixture
def judge(database: Database, settings: Settings, ring: KeyringFile) -> Iterator[Judge]:
    """The worker's verdict."""
    queue = WorkQueue(settings)
    yield Judge(database, queue, PrivateKeyring(ring), PublicKeyring(ring).derive(PURPOSE))
    queue.close()


async def test_opening_is_recorded_once(link: Link) -> None:
    """The first time counts, and an opened link is as good as before."""
    answer = await link.open()
    assert (answer.status_code, answer.json()["state"]) == (200, "opened")
    told = await link.told()
    assert (told["state"], told["submitted_at"], told["ended_at"]) == ("opened", None, None)
    assert (await link.open()).status_code == 200
    assert await link.told() == told
    assert (await link.hand_over()).status_code == 202
    assert (await link.open()).json()["state"] == "submitted"
    assert (await link.told())["opened_at"] == told["opened_at"]


async def test_a_token_is_sealed_and_sent_to_be_proven(
    link: Link, database: Database, ring: KeyringFile
) -> None:
    """Handing over does what connecting does, and the request says that it was done."""
    answer = await link.hand_over()
    assert answer.status_code == 202
    proof = answer.json()
    assert (proof["purpose"], proof["status"]) == ("connect", "queued")
    assert answer.headers["location"] == "/v1/token-requests/current"
    seen = (await link.get()).json()
    assert (seen["state"], seen["last_validation"]) == ("submitted", proof)
    told = await link.told()
    assert (told["state"], told["validation_id"]) == ("submitted", proof["id"])
    assert told["opened_at"] is None
    assert told["submitted_at"].endswith("Z")
    proof_id = decode("val", proof["id"])
    assert await enqueued(database) == [f"validate_token:{proof_id}:1"]
    row = await link.token()
    assert row.sealed is not None
    assert PrivateKeyring(ring).open_box(SealedToken(row.key_id, row.sealed)) == TOKEN


async def test_of_two_at_once_one_is_heard(link: Link, database: Database) -> None:
    """One hand-over at a time, also where both come at the same moment."""
    answers = await asyncio.gather(*(link.hand_over() for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [202] + [409] * 5
    for answer in answers:
        if answer.status_code == 409:
            assert_problem(answer, 409, "hand_over_under_way")
    assert len(await enqueued(database)) == 1


@ONLY_SQLITE
@pytest.mark.parametrize(
    "body",
    [
        {"access_token": ""},
        {"access_token": "short"},
        {"sealed_token": "AAAA", "key_id": "sk_" + "0" * 16},
    ],
)
async def test_what_is_refused_on_arrival_is_no_try(
    link: Link, database: Database, body: Mapping[str, str]
) -> None:
    """A cut token is told at once and counts for nothing."""
    assert (await link.hand_over(**body)).status_code == 422
    told = await link.told()
    assert (told["state"], told["tries"], told["validation_id"]) == ("open", 0, None)
    assert await enqueued(database) == []


async def test_refused_tokens_are_counted_until_the_link_ends(link: Link, judge: Judge) -> None:
    """Each refusal says why and leaves one try less; after the last the code is dead."""
    for left in (4, 3, 2, 1, 0):
        proof = (await link.hand_over()).json()
        await judge(proof["id"], "fail")
        told = await link.told()
        assert (told["state"], told["tries"], told["tries_left"]) == ("rejected", 5 - left, left)
        if left:
            seen = (await link.get()).json()
            assert (seen["state"], seen["tries_left"]) == ("rejected", left)
            assert seen["last_validation"]["verdict"] == "not_connectable"
            assert seen["last_validation"]["checks"][-1]["remedy"] == "Do it again."
    assert told["ended_at"]
    await assert_ended(link, "rejected")


@pytest.mark.parametrize("status", ["pass", "warn"])
async def test_an_accepted_token_ends_the_link(link: Link, judge: Judge, status: str) -> None:
    """With the verdict that connects the partner the code is dead, in one transaction."""
    proof = (await link.hand_over()).json()
    await judge(proof["id"], status)
    assert (await link.token()).state == "active"
    told = await link.told()
    assert (told["state"], told["tries"]) == ("accepted", 0)
    assert told["ended_at"] >= told["submitted_at"]
    await assert_ended(link, "accepted")


async def test_time_runs_out(link: Link, judge: Judge) -> None:
    """Judged at each use; a token that came in time is proven, and was the last if refused."""
    proof = (await link.hand_over()).json()
    await link.expire()
    assert (await link.get()).json()["state"] == "submitted"
    await judge(proof["id"], "fail")
    told = await link.told()
    assert (told["state"], told["ended_at"]) == ("expired", told["expires_at"])
    await assert_ended(link, "expired")
    await link.expire(after=timedelta(minutes=1))
    proof = (await link.hand_over()).json()
    await link.expire()
    await judge(proof["id"], "pass")
    await assert_ended(link, "accepted")


@ONLY_SQLITE
async def test_an_unused_link_expires(link: Link) -> None:
    """Nobody came, and nothing has to sweep for it to be told."""
    await link.expire()
    assert (await link.told())["state"] == "expired"
    await assert_ended(link, "expired")
    assert (await link.revoke()).status_code == 204
    assert (await link.told())["state"] == "expired"


async def test_a_revoked_link_connects_nobody(link: Link, judge: Judge) -> None:
    """Its code is refused at once, and the token that is being proven is forgotten."""
    proof = (await link.hand_over()).json()
    assert (await link.revoke()).status_code == 204
    row = await link.token()
    assert (row.state, row.sealed) == ("wiped", None)
    told = await link.told()
    assert told["state"] == "revoked"
    await assert_ended(link, "revoked")
    await judge(proof["id"], "fail")
    assert (await link.revoke()).status_code == 204
    assert await link.told() == told


@ONLY_SQLITE
async def test_revoking_what_has_ended_changes_nothing(
    link: Link, judge: Judge, api: httpx.AsyncClient
) -> None:
    """How it ended stays on record, and a token that was accepted stays connected."""
    proof = (await link.hand_over()).json()
    await judge(proof["id"], "pass")
    told = await link.told()
    assert (await link.revoke()).status_code == 204
    assert await link.told() == told
    assert (await link.token()).state == "active"
    events = (await api.get("/v1/audit-events")).json()["items"]
    assert "token_request.revoked" not in {event["action"] for event in events}


@ONLY_SQLITE
async def test_no_other_partner_is_named(link: Link, judge: Judge, api: httpx.AsyncClient) -> None:
    """That a token is in use elsewhere is told to the partner, for whom it is only to us."""
    proof = (await link.hand_over()).json()
    await judge(proof["id"], "fail", "token_active_elsewhere", "It is already active for Rival.")
    seen = await link.get()
    assert seen.json()["last_validation"]["checks"][-1]["code"] == "token_active_elsewhere"
    assert "Rival" not in seen.text
    ours = await api.get(f"/v1/token-validations/{proof['id']}")
    assert "Rival" in ours.text


async def assert_ended(link: Link, state: str) -> None:
    """Whatever is asked with the code: it is over, and how."""
    for answer in (await link.get(), await link.open(), await link.hand_over()):
        assert assert_problem(answer, 410, "token_request_ended")["state"] == state


async def test_a_token_that_could_not_be_checked_takes_no_try(link: Link, judge: Judge) -> None:
    """Trouble at Meta's end or ours is not the partner's."""
    for code in ("meta_refused", "internal_error"):
        proof = (await link.hand_over()).json()
        await judge(proof["id"], "fail", code)
        told = await link.told()
        assert (told["state"], told["tries"], told["tries_left"]) == ("rejected", 0, 5)


async def test_every_move_of_a_link_is_on_record(
    link: Link, judge: Judge, api: httpx.AsyncClient
) -> None:
    """Who made it, that somebody opened it, what was handed over by it, and what came of that."""
    await link.open()
    await link.open()
    for verdict in ("fail", "pass"):
        proof = (await link.hand_over()).json()
        await judge(proof["id"], verdict)
    events = (await api.get("/v1/audit-events")).json()["items"][::-1]
    assert [(event["actor"], event["action"]) for event in events][-8:] == [
        ("api_key", "token_request.created"),
        ("token_request", "token_request.opened"),
        ("token_request", "token.handed_over"),
        ("worker", "token_request.rejected"),
        ("worker", "token.refused"),
        ("token_request", "token.handed_over"),
        ("worker", "token_request.accepted"),
        ("worker", "token.activated"),
    ]
    assert link.code not in str(events)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_verdict_beside_a_check_that_fails(
    link: Link, judge: Judge, database: Database, world: World
) -> None:
    """The one ends a halted check of a check of all partners, the other tells that one of its own
    end; both are put on record: none holds what the other waits for.
    """
    parent = rows.sync_job(
        world.partner, partner_id=None, task="sync_integration", status="halted", own_work_done=True
    )
    await rows.store(
        database, parent, rows.halted_job(world.partner, world.token, parent_id=parent.id)
    )
    proof = (await link.hand_over()).json()
    async with database.writing() as session:
        await session.get(SyncJob, parent.id, with_for_update=True)
        verdict = asyncio.create_task(judge(proof["id"], "pass"))
        await asyncio.sleep(0.5)
        recorder = Recorder(parent.workspace_id, "worker", "job", judge.audit_key)
        await recorder.record(session, action="token.health_changed", subject="x", details={})
    await verdict
    assert (await link.told())["state"] == "accepted"
