"""Delivery queues: the effect of an endpoint, an event or a customer on others."""

import asyncio
from datetime import timedelta
from typing import cast
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select, update

from partner_connector.clock import now
from partner_connector.db.engine import Database
from partner_connector.db.models import Partner, WebhookDelivery, WebhookEndpoint, WebhookEvent
from partner_connector.durable.periodic import Periodic, running
from partner_connector.sealing.public import PublicKeyring
from partner_connector.settings import Settings
from partner_connector.telemetry.metrics import REGISTRY
from partner_connector.worker.context import WorkerContext
from partner_connector.worker.delivery.deliverer import Deliverer
from partner_connector.worker.delivery.delivery_queues import QUEUES_PER_WORKSPACE
from partner_connector.worker.delivery.retry_schedule import RETRY_DELAYS
from tests.api import rows
from tests.support.clients import client_of, make_tenant
from tests.support.receivers import Receiver, receiver
from tests.worker.conftest import open_deliverer
from tests.worker.test_webhooks import (
    CONNECTED,
    deliveries,
    poll_deliverer,
    publish_events,
    register,
)

NEWER = "asset.unheard_of"
ONLY_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Settings that allow webhooks to this machine."""
    return settings.model_copy(update={"webhook_allow_loopback": True})


async def test_event_of_unknown_type_is_retried_then_dead_lettered(
    api: httpx.AsyncClient,
    database: Database,
    partners: list[Partner],
    server: Receiver,
    deliverer: Deliverer,
) -> None:
    """Try an event of an unknown type, as after a rollback, like any other.

    It delays its partner's events no longer than any other failure.
    """
    endpoint = await register(api, server)
    await publish_events(database, partners[0], CONNECTED, CONNECTED)
    async with database.writing() as session:
        first_of_all = select(func.min(WebhookEvent.id)).scalar_subquery()
        unknown = update(WebhookEvent).where(WebhookEvent.id == first_of_all)
        await session.execute(unknown.values(type=NEWER))
        # The later release that wrote the event also subscribed the endpoint.
        await session.execute(update(WebhookEndpoint).values(event_types=[NEWER, CONNECTED]))
    await poll_deliverer(deliverer)
    first, second = await deliveries(database)
    assert (first.status, first.attempts, first.last_error) == ("pending", 1, "not_composed")
    assert (second.status, second.attempts) == ("pending", 0)
    elapsed = timedelta()
    for pause in RETRY_DELAYS:
        elapsed += pause * 1.2
        await poll_deliverer(deliverer, elapsed)
    await poll_deliverer(deliverer, elapsed)
    assert [each.data["sequence"] for each in server.accepted] == [2]
    assert [each.status for each in await deliveries(database)] == ["dead_lettered", "delivered"]
    path = f"/v1/webhook-endpoints/{endpoint['id']}/deliveries"
    listed = (await api.get(path, params={"status": "dead_lettered"})).json()["items"]
    assert [each["last_error"] for each in listed] == ["not_composed"]


@ONLY_SQLITE
async def test_attempts_and_dead_letters_are_counted(
    api: httpx.AsyncClient,
    database: Database,
    partners: list[Partner],
    server: Receiver,
    deliverer: Deliverer,
) -> None:
    """Count each attempt by its outcome, and measure its time."""
    await register(api, server)
    before = attempt_counts()
    server.answer_next(500, 204, 410)
    await publish_events(database, partners[0], *[CONNECTED] * 3)
    for after in (0, 6, 12):
        await poll_deliverer(deliverer, timedelta(seconds=after))
    delivered, refused, timed, dead = (
        now_there - there for now_there, there in zip(attempt_counts(), before, strict=True)
    )
    assert (delivered, refused, timed, dead) == (1, 2, 3, 1)


def attempt_counts() -> list[float]:
    """Return the counts of delivered, refused, timed and dead-lettered attempts, over all tests."""
    samples: tuple[tuple[str, dict[str, str]], ...] = (
        ("webhook_attempts_total", {"outcome": "delivered"}),
        ("webhook_attempts_total", {"outcome": "http_status"}),
        ("webhook_attempt_duration_seconds_count", {}),
        ("webhook_deliveries_dead_lettered_total", {}),
    )
    return [
        REGISTRY.get_sample_value(f"partner_connector_{name}", labels) or 0.0
        for name, labels in samples
    ]


async def test_retry_after_blocks_the_whole_endpoint(
    api: httpx.AsyncClient,
    database: Database,
    partners: list[Partner],
    server: Receiver,
    deliverer: Deliverer,
) -> None:
    """Respect the time also after the last attempt, and let a shorter time not end a longer one."""
    await register(api, server)
    await publish_events(database, partners[0])
    await poll_deliverer(deliverer)
    async with database.writing() as session:
        last = {"status": "pending", "attempts": len(RETRY_DELAYS), "next_attempt_at": now()}
        await session.execute(update(WebhookDelivery).values(**last))
    server.answer_next(429, Retry_After="3600")
    await poll_deliverer(deliverer)
    assert [each.status for each in await deliveries(database)] == ["dead_lettered"]
    await publish_events(database, partners[1])
    await poll_deliverer(deliverer, timedelta(minutes=50))
    assert len(server.requests) == 2
    await poll_deliverer(deliverer, timedelta(minutes=61))
    assert len(server.accepted) == 2

    # Two concurrent deliveries get different values.
    server.answer_next(503, Retry_After="7200")
    server.answer_next(503, Retry_After="1")
    for partner in partners:
        await publish_events(database, partner)
    await poll_deliverer(deliverer, timedelta(minutes=62))
    assert len(server.requests) == 5
    await poll_deliverer(deliverer, timedelta(minutes=150))
    assert len(server.requests) == 5
    await poll_deliverer(deliverer, timedelta(minutes=183))
    assert len(server.accepted) == 4


@ONLY_SQLITE
async def test_many_events_are_fanned_out_in_batches(
    api: httpx.AsyncClient,
    database: Database,
    partners: list[Partner],
    server: Receiver,
    deliverer: Deliverer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Deliver a batch while the next is fanned out, without a pause until all are done."""
    monkeypatch.setattr("partner_connector.worker.delivery.outbox._BATCH_SIZE", 3)
    await register(api, server)
    await publish_events(database, partners[0], *[CONNECTED] * 10)
    await poll_deliverer(deliverer)
    assert len(server.accepted) == 3
    async with running(Periodic("webhooks", 60, lambda: deliverer.poll(now()))):
        for _ in range(100):
            if len(server.accepted) == 10:
                break
            await asyncio.sleep(0.1)
    await deliverer.stop()
    assert [each.data["sequence"] for each in server.accepted] == list(range(1, 11))


@ONLY_SQLITE
async def test_slow_receivers_of_one_workspace_do_not_delay_another(
    api: httpx.AsyncClient,
    app: FastAPI,
    database: Database,
    keyring: PublicKeyring,
    partners: list[Partner],
    server: Receiver,
    context: WorkerContext,
) -> None:
    own_integration = rows.integration(partners[0].workspace_id)
    many = [rows.partner(own_integration) for _ in range(4)]
    await rows.store(database, own_integration, *many)
    for _ in range(10):
        await register(api, server)
    server.awake.clear()
    for partner in many:
        await publish_events(database, partner)
    other = await make_tenant(database, keyring)
    other_integration = rows.integration(cast("UUID", other.workspace_id))
    partner = rows.partner(other_integration)
    await rows.store(database, other_integration, partner)
    with receiver() as quick:
        async with (
            open_deliverer(context) as other_deliverer,
            client_of(app, other.api_key) as other_client,
        ):
            await register(other_client, quick)
            await other_deliverer.poll(now())
            await asyncio.sleep(0.2)
            await publish_events(database, partner)
            for _ in range(5):
                await other_deliverer.poll(now())
                await asyncio.sleep(0.1)
            assert len(quick.accepted) == 1
            under_way = [each for each in await deliveries(database) if each.leased_until]
            assert len(under_way) == QUEUES_PER_WORKSPACE
            server.awake.set()
            await other_deliverer.wait_until_idle()
