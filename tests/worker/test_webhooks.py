"""Events on their way out: in order, at least once, with one id, whatever the receiver does."""

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
from partner_connector.db.models.webhook_event import put_out
from partner_connector.features.webhooks.event_types import EventType
from partner_connector.ids import encode
from partner_connector.sealing import keyring as keyring_file
from partner_connector.sealing.keyring import KeyringFile
from partner_connector.settings import Settings
from partner_connector.worker.context import Workshop
from partner_connector.worker.delivery.deliverer import Deliverer
from partner_connector.worker.delivery.lanes import LANES_OF_AN_ENDPOINT, LEASE, due_lanes, take
from partner_connector.worker.delivery.retry_schedule import PAUSES, WHOLE, next_attempt
from partner_connector.worker.maintenance.key_rotation import Resealer
from partner_connector.worker.maintenance.retention import delete_old_webhook_events
from tests.api import rows
from tests.support.receivers import Receiver, receiver
from tests.worker.conftest import delivering, workshop_open

EVERY_TYPE = [str(each) for each in EventType]
CONNECTED = "partner.connected"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Messages may go to this machine."""
    return settings.model_copy(update={"webhook_allow_loopback": True})


async def register(api: httpx.AsyncClient, server: Receiver, **body: Any) -> dict[str, Any]:
    """An endpoint at that server, which knows its secret from now on."""
    given = {"url": server.url, "event_types": EVERY_TYPE, **body}
    made = await api.post("/v1/webhook-endpoints", json=given)
    assert made.status_code == 201, made.text
    endpoint: dict[str, Any] = made.json()
    server.secret = endpoint["signing_secret"]
    return endpoint


async def tell(database: Database, partner: Partner, *types: str) -> None:
    """Put out events of a partner in one transaction."""
    told = [
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
        await (await session.connection()).run_sync(put_out, told)


async def look(deliverer: Deliverer, after: timedelta = timedelta()) -> datetime:
    """One look, as if so much time had gone by, and until what it started is done."""
    at = now() + after
    await deliverer.look(at)
    await deliverer.rest()
    return at


async def deliveries(database: Database) -> list[WebhookDelivery]:
    """All of them, in their order."""
    async with database.reading() as session:
        query = select(WebhookDelivery).order_by(WebhookDelivery.sequence, WebhookDelivery.id)
        return list(await session.scalars(query))


async def test_what_is_told(
    api: httpx.AsyncClient,
    database: Database,
    partners: list[Partner],
    server: Receiver,
    deliverer: Deliverer,
) -> None:
    """A thin, signed body, to those alone who want it; a disabled endpoint keeps nothing."""
    await tell(database, partners[0])
    assert await deliveries(database) == []
    endpoint = await register(api, server, event_types=[CONNECTED, "token.invalid"])
    await tell(database, partners[0], CONNECTED, "partner.recovered", CONNECTED)
    await look(deliverer)
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
    await tell(database, partners[0])
    await look(deliverer)
    assert (await api.patch(path, json={"status": "enabled"})).json()["disabled_reason"] is None
    await look(deliverer)
    assert len(server.requests) == 2


async def test_a_partners_events_come_in_order(
    api: httpx.AsyncClient,
    database: Database,
    partners: list[Partner],
    server: Receiver,
    deliverer: Deliverer,
) -> None:
    """While one is refused the later ones of its partner wait, and those of others do not."""
    await register(api, server)
    server.answer_next(500)
    await tell(database, partners[0], *[CONNECTED] * 3)
    await look(deliverer)
    await tell(database, partners[1], *[CONNECTED] * 2)
    await look(deliverer)
    assert [each.data["sequence"] for each in server.requests] == [1, 4, 5]
    refused, *others = await deliveries(database)
    assert (refused.status, refused.last_status_code, refused.attempts) == ("pending", 500, 1)
    assert refused.last_attempt_at is not None
    pause = refused.next_attempt_at - refused.last_attempt_at
    assert timedelta(seconds=4) < pause < timedelta(seconds=6)
    assert {each.attempts for each in others[:2]} == {0}
    await look(deliverer, timedelta(seconds=6))
    assert [each.data["sequence"] for each in server.requests] == [1, 4, 5, 1, 2, 3]
    assert server.requests[0].id == server.requests[3].id
    assert server.requests[0].raw == server.requests[3].raw


async def redelivered(api: httpx.AsyncClient, path: str, body: dict[str, Any]) -> int:
    """How many are sent again, which are all that there are."""
    answer = (await api.post(f"{path}/redeliver", json=body)).json()
    assert answer["more_since_at"] is None
    number: int = answer["redelivered"]
    return number


async def test_it_is_tried_for_three_days(
    api: httpx.AsyncClient,
    database: Database,
    partners: list[Partner],
    server: Receiver,
    deliverer: Deliverer,
) -> None:
    """After ten attempts it is dead-lettered and visible, as is what waited for it all the time;
    both are sent again on demand, by one or by range, with the ids that they had.
    """
    endpoint = await register(api, server)
    await tell(database, partners[0], CONNECTED, CONNECTED)
    server.answer_next(*[500] * 11)
    gone = timedelta()
    for pause in (timedelta(), *PAUSES):
        gone += pause * 1.2
        await look(deliverer, gone)
    assert [each.data["sequence"] for each in server.requests] == [1] * 10
    await look(deliverer, gone)
    assert [each.data["sequence"] for each in server.requests] == [1] * 10 + [2]
    first, second = await deliveries(database)
    assert (first.status, first.attempts) == ("dead_lettered", 10)
    assert (second.status, second.attempts) == ("dead_lettered", 1)

    path = f"/v1/webhook-endpoints/{endpoint['id']}"
    dead = (await api.get(f"{path}/deliveries", params={"status": "dead_lettered"})).json()["items"]
    assert [each["id"] for each in dead] == [encode("dlv", each.id) for each in (second, first)]
    again = await api.post(f"/v1/webhook-deliveries/{dead[0]['id']}/redeliver")
    assert (again.status_code, again.json()["status"]) == (202, "pending")
    await look(deliverer)
    known = await api.get(again.headers["Location"])
    assert (known.json()["status"], known.json()["attempts"]) == ("delivered", 1)
    body = {"since_at": "2026-01-01T00:00:00Z"}
    assert await redelivered(api, path, body) == 1
    await look(deliverer)
    assert [each.data["sequence"] for each in server.accepted] == [2, 1]
    everything = body | {"include_delivered": True}
    assert await redelivered(api, path, everything) == 2
    none = body | {"include_delivered": True, "until_at": "2026-01-02T00:00:00Z"}
    assert await redelivered(api, path, none) == 0
    await look(deliverer)
    assert [each.data["sequence"] for each in server.accepted] == [2, 1, 1, 2]
    assert len({each.id for each in server.requests}) == 2


async def test_what_a_server_asks_for(
    api: httpx.AsyncClient,
    database: Database,
    partners: list[Partner],
    server: Receiver,
    deliverer: Deliverer,
) -> None:
    """After 429 nothing is sent to it for as long as it says; 410 disables it, and what is left
    goes on when it is enabled again.
    """
    endpoint = await register(api, server)
    server.answer_next(429, Retry_After="100")
    await tell(database, partners[0], CONNECTED, CONNECTED)
    await look(deliverer)
    await tell(database, partners[1])
    await look(deliverer, timedelta(seconds=90))
    assert len(server.requests) == 1
    server.answer_next(204, 410)
    await look(deliverer, timedelta(seconds=101))
    assert [each.status for each in server.requests[1:]][:2] == [204, 410]
    path = f"/v1/webhook-endpoints/{endpoint['id']}"
    seen = (await api.get(path)).json()
    assert (seen["status"], seen["disabled_reason"]) == ("disabled", "gone")
    came = len(server.requests)
    await look(deliverer, timedelta(hours=1))
    assert len(server.requests) == came
    await api.patch(path, json={"status": "enabled"})
    await look(deliverer)
    statuses = [each.status for each in await deliveries(database)]
    assert sorted(statuses) == ["dead_lettered", "delivered", "delivered"]


async def test_nobody_is_there_or_very_slow(
    api: httpx.AsyncClient,
    database: Database,
    partners: list[Partner],
    server: Receiver,
    deliverer: Deliverer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A closed port and an answer that takes too long are failed attempts, and told as such."""
    endpoint = await register(api, server)
    await tell(database, partners[0])
    monkeypatch.setattr("partner_connector.worker.delivery.sender.PATIENCE_SECONDS", 0.3)
    server.awake.clear()
    await look(deliverer)
    (slow,) = await deliveries(database)
    assert (slow.status, slow.last_error, slow.last_status_code) == ("pending", "timeout", None)
    server.awake.set()
    await api.patch(
        f"/v1/webhook-endpoints/{endpoint['id']}", json={"url": "http://127.0.0.1:9/nobody"}
    )
    await look(deliverer, timedelta(seconds=6))
    (away,) = await deliveries(database)
    assert (away.status, away.last_error, away.attempts) == ("pending", "connection_failed", 2)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_slow_server_keeps_no_other_waiting(
    api: httpx.AsyncClient,
    database: Database,
    workspace_id: UUID,
    server: Receiver,
    deliverer: Deliverer,
) -> None:
    """It is sent a few messages at once and no more, while the others get theirs."""
    ours = rows.integration(workspace_id)
    partners = [rows.partner(ours) for _ in range(6)]
    await rows.store(database, ours, *partners)
    slow = await register(api, server)
    server.awake.clear()
    with receiver() as quick:
        await register(api, quick)
        for partner in partners:
            await tell(database, partner)
        for _ in range(4):
            await deliverer.look(now())
            await asyncio.sleep(0.2)
        assert len(quick.accepted) == 6
        under_way = [each for each in await deliveries(database) if each.leased_until is not None]
        assert {encode("whk", each.endpoint_id) for each in under_way} == {slow["id"]}
        assert len(under_way) == LANES_OF_AN_ENDPOINT
        server.awake.set()
        await deliverer.rest()
    await look(deliverer)
    assert len(server.accepted) == 6


async def test_two_workers_share_the_work(
    api: httpx.AsyncClient,
    database: Database,
    partners: list[Partner],
    server: Receiver,
    shop: Workshop,
    other_shop: Workshop,
) -> None:
    """Looking at once and again and again, they send each message once and in order."""
    await register(api, server)
    for _ in range(10):
        for partner in partners:
            await tell(database, partner, CONNECTED, "partner.recovered")
    async with delivering(shop) as one, delivering(other_shop) as other:
        for _ in range(10):
            await asyncio.gather(one.look(now()), other.look(now()))
        await asyncio.gather(one.rest(), other.rest())
    assert {each.status for each in await deliveries(database)} == {"delivered"}
    for partner in partners:
        ours = [
            each
            for each in server.requests
            if each.data["partner_id"].endswith(encode("ptn", partner.id))
        ]
        sequences = [each.data["sequence"] for each in ours]
        assert sequences == sorted(sequences)
        assert len(ours) == len({each.id for each in ours}) == 20
        assert [each.body["type"] for each in ours] == [CONNECTED, "partner.recovered"] * 10


async def test_a_lease_runs_out(
    api: httpx.AsyncClient,
    database: Database,
    partners: list[Partner],
    server: Receiver,
    deliverer: Deliverer,
) -> None:
    """What a worker took that is gone is sent by another one; one that stops gives it back."""
    await register(api, server)
    await tell(database, partners[0])
    server.awake.clear()
    await deliverer.look(now())
    while not [each for each in await deliveries(database) if each.leased_until]:
        await asyncio.sleep(0.05)
    (leased,) = await deliveries(database)
    assert await take(database, leased.id) is None
    assert await due_lanes(database, now(), [], 10) == []
    await deliverer.stop()
    server.awake.set()
    taken = await take(database, leased.id)
    assert taken is not None
    assert taken.leased_until > now() + LEASE / 2
    async with database.writing() as session:
        await session.execute(update(WebhookDelivery).values(leased_until=now()))
    await look(deliverer)
    (sent,) = await deliveries(database)
    assert (sent.status, sent.attempts) == ("delivered", 1)


async def test_two_signatures_while_a_secret_is_replaced(
    api: httpx.AsyncClient, database: Database, server: Receiver, deliverer: Deliverer
) -> None:
    """Who knows the old secret, and who knows the new one, can both verify; not the one before."""
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
        await look(deliverer)
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


async def test_secrets_follow_the_rotation_of_keys(
    api: httpx.AsyncClient,
    partners: list[Partner],
    database: Database,
    server: Receiver,
    settings: Settings,
    ring: KeyringFile,
) -> None:
    """Under a new key they still sign, without the old one."""
    await register(api, server)
    await tell(database, partners[0])
    rotated = keyring_file.rotated(ring, timedelta())
    async with workshop_open(settings, rotated) as shop:
        await Resealer(shop).look()
    only_new = keyring_file.without(rotated, ring.current.key_id, now())
    async with workshop_open(settings, only_new) as shop, delivering(shop) as deliverer:
        await look(deliverer)
    assert len(server.accepted) == 1


async def test_old_events_are_swept(
    api: httpx.AsyncClient,
    database: Database,
    partners: list[Partner],
    server: Receiver,
    shop: Workshop,
    deliverer: Deliverer,
) -> None:
    """After 30 days, with their deliveries; younger ones stay."""
    await register(api, server)
    await tell(database, partners[0], CONNECTED, CONNECTED)
    await look(deliverer)
    async with database.writing() as session:
        await session.execute(
            update(WebhookEvent)
            .where(WebhookEvent.sequence == 1)
            .values(occurred_at=now() - timedelta(days=31))
        )
    await delete_old_webhook_events(shop)
    (left,) = await deliveries(database)
    assert left.sequence == 2
    async with database.reading() as session:
        assert await session.scalar(select(WebhookEndpoint.status)) == "enabled"


def test_the_schedule() -> None:
    """At once, 5 s, 5 min, 30 min, 2, 5, 10, 14, 20 and 24 h with jitter, and then never."""
    at = now()
    waits = [next_attempt(number, at, at, None) for number in range(1, 10)]
    for pause, wait in zip(PAUSES, waits, strict=True):
        assert wait is not None
        assert pause <= wait - at <= pause * 1.1
    assert next_attempt(10, at, at, None) is None
    assert next_attempt(1, at - WHOLE, at, None) is None
    asked = next_attempt(1, at, at, timedelta(hours=1))
    assert asked == at + timedelta(hours=1)
    assert next_attempt(1, at, at, timedelta(days=400)) == at + timedelta(hours=24)
