"""Handing a token over by a token request: every state of the request, and how it ends."""

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
from tests.api.hand_over import Link, VerdictWriter, make_link
from tests.api.problems import assert_problem
from tests.api.surface import TOKEN
from tests.api.world import World

ONLY_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
async def link(api: httpx.AsyncClient, database: Database, world: World) -> Link:
    """A new token request for the world's partner."""
    return await make_link(api, database, world)


@pytest.fixture
def write_verdict(
    database: Database, settings: Settings, ring: KeyringFile
) -> Iterator[VerdictWriter]:
    """A function that stores the worker's verdict."""
    queue = WorkQueue(settings)
    yield VerdictWriter(database, queue, PrivateKeyring(ring), PublicKeyring(ring).derive(PURPOSE))
    queue.close()


async def test_first_opening_is_recorded(link: Link) -> None:
    """Open twice: the first time is recorded, and the link still accepts a token."""
    answer = await link.open()
    assert (answer.status_code, answer.json()["state"]) == (200, "opened")
    request = await link.read()
    assert (request["state"], request["submitted_at"], request["ended_at"]) == (
        "opened",
        None,
        None,
    )
    assert (await link.open()).status_code == 200
    assert await link.read() == request
    assert (await link.hand_over()).status_code == 202
    assert (await link.open()).json()["state"] == "submitted"
    assert (await link.read())["opened_at"] == request["opened_at"]


async def test_token_is_sealed_and_validation_is_enqueued(
    link: Link, database: Database, ring: KeyringFile
) -> None:
    """Hand over: the token is sealed, its validation starts, and the request is `submitted`."""
    answer = await link.hand_over()
    assert answer.status_code == 202
    validation = answer.json()
    assert (validation["purpose"], validation["status"]) == ("connect", "queued")
    assert answer.headers["location"] == "/v1/token-requests/current"
    seen = (await link.get()).json()
    assert (seen["state"], seen["last_validation"]) == ("submitted", validation)
    request = await link.read()
    assert (request["state"], request["validation_id"]) == ("submitted", validation["id"])
    assert request["opened_at"] is None
    assert request["submitted_at"].endswith("Z")
    validation_id = decode("val", validation["id"])
    assert await enqueued(database) == [f"validate_token:{validation_id}:1"]
    row = await link.token()
    assert row.sealed is not None
    assert PrivateKeyring(ring).open_box(SealedToken(row.key_id, row.sealed)) == TOKEN


async def test_one_of_concurrent_hand_overs_is_accepted(link: Link, database: Database) -> None:
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
async def test_malformed_token_does_not_count_as_try(
    link: Link, database: Database, body: Mapping[str, str]
) -> None:
    assert (await link.hand_over(**body)).status_code == 422
    request = await link.read()
    assert (request["state"], request["tries"], request["validation_id"]) == ("open", 0, None)
    assert await enqueued(database) == []


async def test_refused_tokens_count_until_request_ends(
    link: Link, write_verdict: VerdictWriter
) -> None:
    """Check that each refusal reduces `tries_left`, and that the code ends with the last."""
    for left in (4, 3, 2, 1, 0):
        validation = (await link.hand_over()).json()
        await write_verdict(validation["id"], "fail")
        request = await link.read()
        assert (request["state"], request["tries"], request["tries_left"]) == (
            "rejected",
            5 - left,
            left,
        )
        if left:
            seen = (await link.get()).json()
            assert (seen["state"], seen["tries_left"]) == ("rejected", left)
            assert seen["last_validation"]["verdict"] == "not_connectable"
            assert seen["last_validation"]["checks"][-1]["remedy"] == "Do it again."
    assert request["ended_at"]
    await assert_ended(link, "rejected")


@pytest.mark.parametrize("status", ["pass", "warn"])
async def test_accepted_token_ends_request(
    link: Link, write_verdict: VerdictWriter, status: str
) -> None:
    """Check that the verdict that connects the partner also ends the code."""
    validation = (await link.hand_over()).json()
    await write_verdict(validation["id"], status)
    assert (await link.token()).state == "active"
    request = await link.read()
    assert (request["state"], request["tries"]) == ("accepted", 0)
    assert request["ended_at"] >= request["submitted_at"]
    await assert_ended(link, "accepted")


async def test_token_submitted_in_time_is_validated_after_expiry(
    link: Link, write_verdict: VerdictWriter
) -> None:
    """Expire the request during a validation: a refused token ends it, an accepted one connects."""
    validation = (await link.hand_over()).json()
    await link.expire()
    assert (await link.get()).json()["state"] == "submitted"
    await write_verdict(validation["id"], "fail")
    request = await link.read()
    assert (request["state"], request["ended_at"]) == ("expired", request["expires_at"])
    await assert_ended(link, "expired")
    await link.expire(after=timedelta(minutes=1))
    validation = (await link.hand_over()).json()
    await link.expire()
    await write_verdict(validation["id"], "pass")
    await assert_ended(link, "accepted")


@ONLY_SQLITE
async def test_unused_request_expires(link: Link) -> None:
    """Check that the state is `expired` without a periodic task."""
    await link.expire()
    assert (await link.read())["state"] == "expired"
    await assert_ended(link, "expired")
    assert (await link.revoke()).status_code == 204
    assert (await link.read())["state"] == "expired"


async def test_revoked_request_wipes_its_token(link: Link, write_verdict: VerdictWriter) -> None:
    """Revoke during a validation: the code ends, and the token is wiped."""
    validation = (await link.hand_over()).json()
    assert (await link.revoke()).status_code == 204
    row = await link.token()
    assert (row.state, row.sealed) == ("wiped", None)
    request = await link.read()
    assert request["state"] == "revoked"
    await assert_ended(link, "revoked")
    await write_verdict(validation["id"], "fail")
    assert (await link.revoke()).status_code == 204
    assert await link.read() == request


@ONLY_SQLITE
async def test_revoking_ended_request_changes_nothing(
    link: Link, write_verdict: VerdictWriter, api: httpx.AsyncClient
) -> None:
    """Revoke after acceptance: state and token stay, and no audit event is recorded."""
    validation = (await link.hand_over()).json()
    await write_verdict(validation["id"], "pass")
    request = await link.read()
    assert (await link.revoke()).status_code == 204
    assert await link.read() == request
    assert (await link.token()).state == "active"
    events = (await api.get("/v1/audit-events")).json()["items"]
    assert "token_request.revoked" not in {event["action"] for event in events}


@ONLY_SQLITE
async def test_holder_does_not_see_name_of_other_partner(
    link: Link, write_verdict: VerdictWriter, api: httpx.AsyncClient
) -> None:
    """Check that only our own callers see which other partner uses the token."""
    validation = (await link.hand_over()).json()
    await write_verdict(
        validation["id"], "fail", "token_active_elsewhere", "It is already active for Rival."
    )
    seen = await link.get()
    assert seen.json()["last_validation"]["checks"][-1]["code"] == "token_active_elsewhere"
    assert "Rival" not in seen.text
    own_view = await api.get(f"/v1/token-validations/{validation['id']}")
    assert "Rival" in own_view.text


async def assert_ended(link: Link, state: str) -> None:
    """Assert that every operation with the code answers 410 with this state."""
    for answer in (await link.get(), await link.open(), await link.hand_over()):
        assert assert_problem(answer, 410, "token_request_ended")["state"] == state


async def test_failed_validation_does_not_count_as_try(
    link: Link, write_verdict: VerdictWriter
) -> None:
    """Fail at Meta and in the service: neither is the partner's fault."""
    for code in ("meta_refused", "internal_error"):
        validation = (await link.hand_over()).json()
        await write_verdict(validation["id"], "fail", code)
        request = await link.read()
        assert (request["state"], request["tries"], request["tries_left"]) == ("rejected", 0, 5)


async def test_every_step_of_request_is_audited(
    link: Link, write_verdict: VerdictWriter, api: httpx.AsyncClient
) -> None:
    """Create, open, hand over and validate: each step records one audit event."""
    await link.open()
    await link.open()
    for verdict in ("fail", "pass"):
        validation = (await link.hand_over()).json()
        await write_verdict(validation["id"], verdict)
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
async def test_verdict_during_failing_sync_job_causes_no_deadlock(
    link: Link, write_verdict: VerdictWriter, database: Database, world: World
) -> None:
    """Store a verdict that ends a halted child job while another session holds the parent's lock
    and records an audit event: both finish.
    """
    parent = rows.sync_job(
        world.partner, partner_id=None, task="sync_integration", status="halted", own_work_done=True
    )
    await rows.store(
        database, parent, rows.halted_job(world.partner, world.token, parent_id=parent.id)
    )
    validation = (await link.hand_over()).json()
    async with database.writing() as session:
        await session.get(SyncJob, parent.id, with_for_update=True)
        verdict = asyncio.create_task(write_verdict(validation["id"], "pass"))
        await asyncio.sleep(0.5)
        recorder = Recorder(parent.workspace_id, "worker", "job", write_verdict.audit_key)
        await recorder.record(session, action="token.health_changed", subject="x", details={})
    await verdict
    assert (await link.read())["state"] == "accepted"
