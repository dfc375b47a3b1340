"""Lanes: what one endpoint, one event or one customer can do to the others."""

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
from partner_connector.worker.context import Workshop
from partner_connector.worker.delivery.deliverer import Deliverer
from partner_connector.worker.delivery.lanes import LANES_OF_A_WORKSPACE
from partner_connector.worker.delivery.retry_schedule import PAUSES
from tests.api import rows
from tests.support.clients import client_of, make_tenant
from tests.support.receivers import Receiver, receiver
from tests.worker.conftest import delivering
from tests.worker.test_webhooks import CONNECTED, deliveries, look, register, tell

NEWER = "asset.unheard_of"
ONLY_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Messages may go to this machine."""
    return settings.model_copy(update={"webhook_allow_loopback": True})


async def test_an_event_that_cannot_be_written_out(
    api: httpx.AsyncClient,
    database: Database,
    partners: list[Partner],
    server: Receiver,
    deliverer: Deliverer,
) -> None:
    """Of a type that this version does not know, as after a rollback: it is tried like any other,
    said to be the reason, and holds up its partner's events no longer than any other.
    """
    endpoint = await register(api, server)
    await tell(database, partners[0], CONNECTED, CONNECTED)
    async with database.writing() as session:
        first_of_all = select(func.min(WebhookEvent.id)).scalar_subquery()
        unknown = update(WebhookEvent).where(WebhookEvent.id == first_of_all)
        await session.execute(unknown.values(type=NEWER))
        # Whoever wrote it knew who wants it.
        await session.execute(update(WebhookEndpoint).values(event_types=[NEWER, CONNECTED]))
    await look(deliverer)
    first, second = await deliveries(database)
    assert (first.status, first.attempts, first.last_error) == ("pending", 1, "not_composed")
    assert (second.status, second.attempts) == ("pending", 0)
    gone = timedelta()
    for pause in PAUSES:
        gone += pause * 1.2
        await look(deliverer, gone)
    await look(deliverer, gone)
    assert [each.data["sequence"] for each in server.accepted] == [2]
    assert [each.status for each in await deliveries(database)] == ["dead_lettered", "delivered"]
    path = f"/v1/webhook-endpoints/{endpoint['id']}/deliveries"
    listed = (await api.get(path, params={"status": "dead_lettered"})).json()["items"]
    assert [each["last_error"] for each in listed] == ["not_composed"]


@ONLY_SQLITE
async def test_attempts_are_counted(
    api: httpx.AsyncClient,
    database: Database,
    partners: list[Partner],
    server: Receiver,
    deliverer: Deliverer,
) -> None:
    """Each by what came of it, with its time; and what is given up."""
    await register(api, server)
    before = counted()
    server.answer_next(500, 204, 410)
    await tell(database, partners[0], *[CONNECTED] * 3)
    for after in (0, 6, 12):
        await look(deliverer, timedelta(seconds=after))
    delivered, refused, timed, dead = (
        now_there - there for now_there, there in zip(counted(), before, strict=True)
    )
    assert (delivered, refused, timed, dead) == (1, 2, 3, 1)


def counted() -> list[float]:
    """Delivered, refused, timed and given up so far, by whichever test."""
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


async def test_a_wish_for_time_holds_whoever_heard_it(
    api: httpx.AsyncClient,
    database: Database,
    partners: list[Partner],
    server: Receiver,
    deliverer: Deliverer,
) -> None:
    """Also one that came with the last attempt, and a shorter one does not end a longer one."""
    await register(api, server)
    await tell(database, partners[0])
    await look(deliverer)
    async with database.writing() as session:
        last = {"status": "pending", "attempts": len(PAUSES), "next_attempt_at": now()}
        await session.execute(update(WebhookDelivery).values(**last))
    server.answer_next(429, Retry_After="3600")
    await look(deliverer)
    assert [each.status for each in await deliveries(database)] == ["dead_lettered"]
    await tell(database, partners[1])
    await look(deliverer, timedelta(minutes=50))
    assert len(server.requests) == 2
    await look(deliverer, timedelta(minutes=61))
    assert len(server.accepted) == 2

    # Two at once are told something else each.
    server.answer_next(503, Retry_After="7200")
    server.answer_next(503, Retry_After="1")
    for partner in partners:
        await tell(database, partner)
    await look(deliverer, timedelta(minutes=62))
    assert len(server.requests) == 5
    await look(deliverer, timedelta(minutes=150))
    assert len(server.requests) == 5
    await look(deliverer, timedelta(minutes=183))
    assert len(server.accepted) == 4


@ONLY_SQLITE
async def test_a_flood_is_placed_bit_by_bit(
    api: httpx.AsyncClient,
    database: Database,
    partners: list[Partner],
    server: Receiver,
    deliverer: Deliverer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So that what was placed goes out meanwhile; and without a pause, until all of it is."""
    monkeypatch.setattr("partner_connector.worker.delivery.outbox._AT_A_TIME", 3)
    await register(api, server)
    await tell(database, partners[0], *[CONNECTED] * 10)
    await look(deliverer)
    assert len(server.accepted) == 3
    async with running(Periodic("webhooks", 60, lambda: deliverer.look(now()))):
        for _ in range(100):
            if len(server.accepted) == 10:
                break
            await asyncio.sleep(0.1)
    await deliverer.stop()
    assert [each.data["sequence"] for each in server.accepted] == list(range(1, 11))


@ONLY_SQLITE
async def test_a_customer_keeps_no_other_waiting(
    api: httpx.AsyncClient,
    app: FastAPI,
    database: Database,
    keyring: PublicKeyring,
    partners: list[Partner],
    server: Receiver,
    shop: Workshop,
) -> None:
    """However many slow servers one workspace has, there is always room for another's messages."""
    ours = rows.integration(partners[0].workspace_id)
    many = [rows.partner(ours) for _ in range(4)]
    await rows.store(database, ours, *many)
    for _ in range(10):
        await register(api, server)
    server.awake.clear()
    for partner in many:
        await tell(database, partner)
    other = await make_tenant(database, keyring)
    theirs = rows.integration(cast("UUID", other.workspace_id))
    partner = rows.partner(theirs)
    await rows.store(database, theirs, partner)
    with receiver() as quick:
        async with delivering(shop) as sends, client_of(app, other.api_key) as they:
            await register(they, quick)
            await sends.look(now())
            await asyncio.sleep(0.2)
            await tell(database, partner)
            for _ in range(5):
                await sends.look(now())
                await asyncio.sleep(0.1)
            assert len(quick.accepted) == 1
            under_way = [each for each in await deliveries(database) if each.leased_until]
            assert len(under_way) == LANES_OF_A_WORKSPACE
            server.awake.set()
            await sends.rest()
