"""Delivery of webhook events: in order, at least once, with one id, for any receiver."""

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select, update

from partner_connector.clock import now
from partner_connector.db.engine import Database
from partner_connector.db.models import Partner, WebhookDelivery, WebhookEndpoint, WebhookEvent
from partner_connector.db.models.webhook_event import write_to_outbox
from partner_connector.features.webhooks.event_types import EventType
from partner_connector.ids import encode
from partner_connector.sealing import keyring as keyring_file
from partner_connector.sealing.keyring import KeyringFile
from partner_connector.settings import Settings
from partner_connector.worker.context import WorkerContext
from partner_connector.worker.delivery.deliverer import Deliverer
from partner_connector.worker.delivery.delivery_queues import (
    LEASE,
    QUEUES_PER_ENDPOINT,
    due_queues,
    take,
)
from partner_connector.worker.delivery.retry_schedule import (
    RETRY_DELAYS,
    RETRY_PERIOD,
    next_attempt,
)
from partner_connector.worker.maintenance.key_rotation import Resealer
from partner_connector.worker.maintenance.retention import delete_old_webhook_events
from tests.api import rows
from tests.support.receivers import Receiver, receiver
from tests.worker.conftest import open_context, open_deliverer

EVERY_TYPE = [str(each) for each in EventType]
CONNECTED = "partner.connected"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Settings that allow webhooks to this machine."""
    return settings.model_copy(update={"webhook_allow_loopback": True})


async def register(api: httpx.AsyncClient, server: Receiver, **body: Any) -> dict[str, Any]:
    """Create an endpoint at the server, and give the server its secret."""
    given = {"url": server.url, "event_types": EVERY_TYPE, **body}
    made = await api.post("/v1/webhook-endpoints", json=given)
    assert made.status_code == 201, made.text
    endpoint: dict[str, Any] = made.json()
    server.secret = endpoint["signing_secret"]
    return endpoint


async def publish_events(database: Database, partner: Partner, *types: str) -> None:
    """Write events of a partner to the outbox in one transaction."""
    events = [
        {
            "workspace_id": partner.workspace_id,
            "type": each,
            "occurred_at": now(),
            "integration_id": partner.integration_id,
            "partner_id": partner.id,
            "states": {"onboarding_status": "onboarded"},
        }
        for each in types or (CONNECTED,)
    ]
    async with database.writing() as session:
        await (await session.connection()).run_sync(write_to_outbox, events)


async def poll_deliverer(deliverer: Deliverer, after: timedelta = timedelta()) -> datetime:
    """Poll once as if `after` has passed, and wait for the started deliveries.

    Return the time used.
    """
    at = now() + after
    await deliverer.poll(at)
    await deliverer.wait_until_idle()
    return at


async def deliveries(database: Database) -> list[WebhookDelivery]:
    """Return all deliveries in order."""
    async with database.reading() as session:
        query = select(WebhookDelivery).order_by(WebhookDelivery.sequence, WebhookDelivery.id)
        return list(await session.scalars(query))


async def test_event_has_thin_signed_body_for_subscribers_only(
    api: httpx.AsyncClient,
    database: Database,
    partners: list[Partner],
    server: Receiver,
    deliverer: Deliverer,
) -> None:
    """Keep nothing for a disabled endpoint."""
    await publish_events(database, partners[0])
    assert await deliveries(database) == []
    endpoint = await register(api, server, event_types=[CONNECTED, "token.invalid"])
    await publish_events(database, partners[0], CONNECTED, "partner.recovered", CONNECTED)
    await poll_deliverer(deliverer)
    first, second = server.accepted
    assert first.body == {
        "type": CONNECTED,
        "timestamp": first.body["timestamp"],
        "data": {
            "sequence": 1,
            "integration_id": encode("int", partners[0].integration_id),
            "partner_id": encode("ptn", partners[0].id),
            "onboarding_status": "onboarded",
            "job_id": None,
            "change_sequence": None,
        },
    }
    assert first.id.startswith("msg_")
    assert (second.id != first.id, second.data["sequence"]) == (True, 2)
    path = f"/v1/webhook-endpoints/{endpoint['id']}"
    listed = (await api.get(f"{path}/deliveries")).json()["items"]
    assert [(each["event_id"], each["status"]) for each in listed] == [
        (second.id, "delivered"),
        (first.id, "delivered"),
    ]
    assert {each["last_status_code"] for each in listed} == {204}
    assert (await api.patch(path, json={"status": "disabled"})).json()[
        "disabled_reason"
    ] is not None
    await publish_events(database, partners[0])
    await poll_deliverer(deliverer)
    assert (await api.patch(path, json={"status": "enabled"})).json()["disabled_reason"] is None
    await poll_deliverer(deliverer)
    assert len(server.requests) == 2


async def test_events_of_a_partner_are_delivered_in_order(
    api: httpx.AsyncClient,
    database: Database,
    partners: list[Partner],
    server: Receiver,
    deliverer: Deliverer,
) -> None:
    """Make later events of a partner wait for a refused one, but not those of other partners."""
    await register(api, server)
    server.answer_next(500)
    await publish_events(database, partners[0], *[CONNECTED] * 3)
    await poll_deliverer(deliverer)
    await publish_events(database, partners[1], *[CONNECTED] * 2)
    await poll_deliverer(deliverer)
    assert [each.data["sequence"] for each in server.requests] == [1, 4, 5]
    refused, *others = await deliveries(database)
    assert (refused.status, refused.last_status_code, refused.attempts) == ("pending", 500, 1)
    assert refused.last_attempt_at is not None
    pause = refused.next_attempt_at - refused.last_attempt_at
    assert timedelta(seconds=4) < pause < timedelta(seconds=6)
    assert {each.attempts for each in others[:2]} == {0}
    await poll_deliverer(deliverer, timedelta(seconds=6))
    assert [each.data["sequence"] for each in server.requests] == [1, 4, 5, 1, 2, 3]
    assert server.requests[0].id == server.requests[3].id
    assert server.requests[0].raw == server.requests[3].raw


async def redeliver_range(api: httpx.AsyncClient, path: str, body: dict[str, Any]) -> int:
    """Redeliver a time range at once, and return the number of deliveries."""
    answer = (await api.post(f"{path}/redeliver", json=body)).json()
    assert answer["more_since_at"] is None
    number: int = answer["redelivered"]
    return number


async def test_event_is_dead_lettered_after_ten_attempts_and_can_be_redelivered(
    api: httpx.AsyncClient,
    database: Database,
    partners: list[Partner],
    server: Receiver,
    deliverer: Deliverer,
) -> None:
    """Dead-letter also the events that waited for it.

    Redeliver one delivery and a time range, with the same ids.
    """
    endpoint = await register(api, server)
    await publish_events(database, partners[0], CONNECTED, CONNECTED)
    server.answer_next(*[500] * 11)
    elapsed = timedelta()
    for pause in (timedelta(), *RETRY_DELAYS):
        elapsed += pause * 1.2
        await poll_deliverer(deliverer, elapsed)
    assert [each.data["sequence"] for each in server.requests] == [1] * 10
    await poll_deliverer(deliverer, elapsed)
    assert [each.data["sequence"] for each in server.requests] == [1] * 10 + [2]
    first, second = await deliveries(database)
    assert (first.status, first.attempts) == ("dead_lettered", 10)
    assert (second.status, second.attempts) == ("dead_lettered", 1)

    path = f"/v1/webhook-endpoints/{endpoint['id']}"
    dead = (await api.get(f"{path}/deliveries", params={"status": "dead_lettered"})).json()["items"]
    assert [each["id"] for each in dead] == [encode("dlv", each.id) for each in (second, first)]
    again = await api.post(f"/v1/webhook-deliveries/{dead[0]['id']}/redeliver")
    assert (again.status_code, again.json()["status"]) == (202, "pending")
    await poll_deliverer(deliverer)
    known = await api.get(again.headers["Location"])
    assert (known.json()["status"], known.json()["attempts"]) == ("delivered", 1)
    body = {"since_at": "2026-01-01T00:00:00Z"}
    assert await redeliver_range(api, path, body) == 1
    await poll_deliverer(deliverer)
    assert [each.data["sequence"] for each in server.accepted] == [2, 1]
    everything = body | {"include_delivered": True}
    assert await redeliver_range(api, path, everything) == 2
    none = body | {"include_delivered": True, "until_at": "2026-01-02T00:00:00Z"}
    assert await redeliver_range(api, path, none) == 0
    await poll_deliverer(deliverer)
    assert [each.data["sequence"] for each in server.accepted] == [2, 1, 1, 2]
    assert len({each.id for each in server.requests}) == 2


async def test_429_delays_and_410_disables_the_endpoint(
    api: httpx.AsyncClient,
    database: Database,
    partners: list[Partner],
    server: Receiver,
    deliverer: Deliverer,
) -> None:
    """Continue with the remaining events when the endpoint is enabled again."""
    endpoint = await register(api, server)
    server.answer_next(429, Retry_After="100")
    await publish_events(database, partners[0], CONNECTED, CONNECTED)
    await poll_deliverer(deliverer)
    await publish_events(database, partners[1])
    await poll_deliverer(deliverer, timedelta(seconds=90))
    assert len(server.requests) == 1
    server.answer_next(204, 410)
    await poll_deliverer(deliverer, timedelta(seconds=101))
    assert [each.status for each in server.requests[1:]][:2] == [204, 410]
    path = f"/v1/webhook-endpoints/{endpoint['id']}"
    seen = (await api.get(path)).json()
    assert (seen["status"], seen["disabled_reason"]) == ("disabled", "gone")
    requests_before = len(server.requests)
    await poll_deliverer(deliverer, timedelta(hours=1))
    assert len(server.requests) == requests_before
    await api.patch(path, json={"status": "enabled"})
    await poll_deliverer(deliverer)
    statuses = [each.status for each in await deliveries(database)]
    assert sorted(statuses) == ["dead_lettered", "delivered", "delivered"]


async def test_unreachable_or_slow_receiver_is_a_failed_attempt(
    api: httpx.AsyncClient,
    database: Database,
    partners: list[Partner],
    server: Receiver,
    deliverer: Deliverer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    endpoint = await register(api, server)
    await publish_events(database, partners[0])
    monkeypatch.setattr("partner_connector.worker.delivery.sender.ATTEMPT_TIMEOUT_SECONDS", 0.3)
    server.awake.clear()
    await poll_deliverer(deliverer)
    (slow,) = await deliveries(database)
    assert (slow.status, slow.last_error, slow.last_status_code) == ("pending", "timeout", None)
    server.awake.set()
    await api.patch(
        f"/v1/webhook-endpoints/{endpoint['id']}", json={"url": "http://127.0.0.1:9/closed"}
    )
    await poll_deliverer(deliverer, timedelta(seconds=6))
    (unreachable,) = await deliveries(database)
    assert (unreachable.status, unreachable.last_error, unreachable.attempts) == (
        "pending",
        "connection_failed",
        2,
    )


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_slow_receiver_does_not_delay_other_endpoints(
    api: httpx.AsyncClient,
    database: Database,
    workspace_id: UUID,
    server: Receiver,
    deliverer: Deliverer,
) -> None:
    """Send a slow server only a few messages at once."""
    integration = rows.integration(workspace_id)
    partners = [rows.partner(integration) for _ in range(6)]
    await rows.store(database, integration, *partners)
    slow = await register(api, server)
    server.awake.clear()
    with receiver() as quick:
        await register(api, quick)
        for partner in partners:
            await publish_events(database, partner)
        for _ in range(4):
            await deliverer.poll(now())
            await asyncio.sleep(0.2)
        assert len(quick.accepted) == 6
        under_way = [each for each in await deliveries(database) if each.leased_until is not None]
        assert {encode("whk", each.endpoint_id) for each in under_way} == {slow["id"]}
        assert len(under_way) == QUEUES_PER_ENDPOINT
        server.awake.set()
        await deliverer.wait_until_idle()
    await poll_deliverer(deliverer)
    assert len(server.accepted) == 6


async def test_two_workers_send_each_event_once_and_in_order(
    api: httpx.AsyncClient,
    database: Database,
    partners: list[Partner],
    server: Receiver,
    context: WorkerContext,
    other_context: WorkerContext,
) -> None:
    await register(api, server)
    for _ in range(10):
        for partner in partners:
            await publish_events(database, partner, CONNECTED, "partner.recovered")
    async with open_deliverer(context) as one, open_deliverer(other_context) as other:
        for _ in range(10):
            await asyncio.gather(one.poll(now()), other.poll(now()))
        await asyncio.gather(one.wait_until_idle(), other.wait_until_idle())
    assert {each.status for each in await deliveries(database)} == {"delivered"}
    for partner in partners:
        requests = [
            each
            for each in server.requests
            if each.data["partner_id"].endswith(encode("ptn", partner.id))
        ]
        sequences = [each.data["sequence"] for each in requests]
        assert sequences == sorted(sequences)
        assert len(requests) == len({each.id for each in requests}) == 20
        assert [each.body["type"] for each in requests] == [CONNECTED, "partner.recovered"] * 10


async def test_delivery_is_taken_again_after_its_lease(
    api: httpx.AsyncClient,
    database: Database,
    partners: list[Partner],
    server: Receiver,
    deliverer: Deliverer,
) -> None:
    """Send the delivery of a lost worker again. A worker that stops releases its leases."""
    await register(api, server)
    await publish_events(database, partners[0])
    server.awake.clear()
    await deliverer.poll(now())
    while not [each for each in await deliveries(database) if each.leased_until]:
        await asyncio.sleep(0.05)
    (leased,) = await deliveries(database)
    assert await take(database, leased.id) is None
    assert await due_queues(database, now(), [], 10) == []
    await deliverer.stop()
    server.awake.set()
    leased_delivery = await take(database, leased.id)
    assert leased_delivery is not None
    assert leased_delivery.leased_until > now() + LEASE / 2
    async with database.writing() as session:
        await session.execute(update(WebhookDelivery).values(leased_until=now()))
    await poll_deliverer(deliverer)
    (sent,) = await deliveries(database)
    assert (sent.status, sent.attempts) == ("delivered", 1)


async def test_message_has_two_signatures_while_secret_is_replaced(
    api: httpx.AsyncClient, database: Database, server: Receiver, deliverer: Deliverer
) -> None:
    """Let receivers verify with the old or the new secret, but not with an earlier one."""
    endpoint = await register(api, server)
    path = f"/v1/webhook-endpoints/{endpoint['id']}"
    secrets = [endpoint["signing_secret"]]
    for _ in range(2):
        rotated = await api.post(f"{path}/rotate-secret")
        assert rotated.status_code == 200
        secrets.append(rotated.json()["signing_secret"])
    assert len(set(secrets)) == 3
    for secret, verifies in zip(secrets, (False, True, True), strict=True):
        server.secret = secret
        tested = await api.post(f"{path}/test")
        assert tested.status_code == 202
        await poll_deliverer(deliverer)
        seen = (await api.get(tested.headers["Location"])).json()
        assert (seen["status"] == "delivered", seen["event_type"]) == (
            verifies,
            "webhook_endpoint.test",
        )
        if not verifies:
            assert seen["last_status_code"] == 401
    assert {len(each.headers["webhook-signature"].split()) for each in server.requests} == {2}
    assert server.requests[-1].data == {"sequence": 0, "endpoint_id": endpoint["id"]}
    for answer in (await api.get(path), await api.get("/v1/webhook-endpoints")):
        assert "whsec_" not in answer.text
    assert (await api.delete(path)).status_code == 204
    assert await deliveries(database) == []


async def test_signing_secrets_are_resealed_after_key_rotation(
    api: httpx.AsyncClient,
    partners: list[Partner],
    database: Database,
    server: Receiver,
    settings: Settings,
    ring: KeyringFile,
) -> None:
    """Sign without the old key."""
    await register(api, server)
    await publish_events(database, partners[0])
    rotated = keyring_file.rotated(ring, timedelta())
    async with open_context(settings, rotated) as context:
        await Resealer(context).poll()
    only_new = keyring_file.without_key(rotated, ring.current.key_id, now())
    async with open_context(settings, only_new) as context, open_deliverer(context) as deliverer:
        await poll_deliverer(deliverer)
    assert len(server.accepted) == 1


async def test_old_webhook_events_are_deleted_with_their_deliveries(
    api: httpx.AsyncClient,
    database: Database,
    partners: list[Partner],
    server: Receiver,
    context: WorkerContext,
    deliverer: Deliverer,
) -> None:
    """Delete events after 30 days, and keep younger ones."""
    await register(api, server)
    await publish_events(database, partners[0], CONNECTED, CONNECTED)
    await poll_deliverer(deliverer)
    async with database.writing() as session:
        await session.execute(
            update(WebhookEvent)
            .where(WebhookEvent.sequence == 1)
            .values(occurred_at=now() - timedelta(days=31))
        )
    await delete_old_webhook_events(context)
    (left,) = await deliveries(database)
    assert left.sequence == 2
    async with database.reading() as session:
        assert await session.scalar(select(WebhookEndpoint.status)) == "enabled"


def test_retry_schedule_has_ten_attempts_with_jitter() -> None:
    """Wait 5 s, 5 min, 30 min, 2, 5, 10, 14, 20 and 24 h after the attempts, then give up."""
    at = now()
    waits = [next_attempt(number, at, at, None) for number in range(1, 10)]
    for pause, wait in zip(RETRY_DELAYS, waits, strict=True):
        assert wait is not None
        assert pause <= wait - at <= pause * 1.1
    assert next_attempt(10, at, at, None) is None
    assert next_attempt(1, at - RETRY_PERIOD, at, None) is None
    asked = next_attempt(1, at, at, timedelta(hours=1))
    assert asked == at + timedelta(hours=1)
    assert next_attempt(1, at, at, timedelta(days=400)) == at + timedelta(hours=24)
