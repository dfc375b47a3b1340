"""A worker that is killed while it sends messages: no event is lost, and the order is kept."""

import asyncio
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from sqlalchemy import update

from partner_connector.clock import now
from partner_connector.db.engine import Database
from partner_connector.db.models import WebhookDelivery
from partner_connector.ids import encode
from partner_connector.sealing import keyring as keyring_file
from partner_connector.sealing.keyring import KeyringFile
from partner_connector.settings import Settings
from tests.api import rows
from tests.support.processes import worker_process
from tests.support.receivers import Receiver, receiver
from tests.worker.test_webhooks import deliveries, publish_events, register

KILLS = 3
EVENTS_PER_PARTNER = 30


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Settings that allow webhooks to this machine."""
    return settings.model_copy(update={"webhook_allow_loopback": True})


async def wait_for_requests(server: Receiver, number: int) -> None:
    """Wait until the server has this number of requests."""
    for _ in range(600):
        if len(server.requests) >= number:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{len(server.requests)} of {number} came")


async def test_no_event_is_lost_when_worker_is_killed(
    api: httpx.AsyncClient,
    database: Database,
    workspace_id: UUID,
    settings: Settings,
    ring: KeyringFile,
    tmp_path: Path,
) -> None:
    """Deliver each event at least once with one id, and the first deliveries in order of the
    partner.
    """
    integration = rows.integration(workspace_id)
    partners = [rows.partner(integration) for _ in range(3)]
    await rows.store(database, integration, *partners)
    keyring_file.write_new(tmp_path / "keyring.json", ring)
    assert settings.database_url is not None
    worker_settings = {
        "DATA_DIR": str(tmp_path),
        "DATABASE_URL": settings.database_url.get_secret_value(),
        "GRAPH_BASE_URL": settings.graph_base_url,
        "WEBHOOK_ALLOW_LOOPBACK": "true",
    }
    with receiver() as server:
        await register(api, server)
        for _ in range(EVENTS_PER_PARTNER):
            for partner in partners:
                await publish_events(database, partner)
        for kill in range(KILLS):
            with worker_process(worker_settings, tmp_path, f"worker-{kill}") as worker:
                await wait_for_requests(server, (kill + 1) * EVENTS_PER_PARTNER // 2)
                worker.kill()
            # End the leases at once instead of waiting half a minute for them.
            async with database.writing() as session:
                leased = update(WebhookDelivery).where(WebhookDelivery.leased_until.is_not(None))
                await session.execute(leased.values(leased_until=now()))
        with worker_process(worker_settings, tmp_path, "last"):
            while {each.status for each in await deliveries(database)} != {"delivered"}:
                await asyncio.sleep(0.1)
    for partner in partners:
        received = [
            each for each in server.requests if each.data["partner_id"] == encode("ptn", partner.id)
        ]
        first_received = list(dict.fromkeys(each.data["sequence"] for each in received))
        assert len(first_received) == EVENTS_PER_PARTNER
        assert first_received == sorted(first_received)
        # A repeated message is the same, and was being sent when the worker was killed.
        assert len({(each.id, each.raw) for each in received}) == EVENTS_PER_PARTNER
        assert len(received) <= EVENTS_PER_PARTNER + KILLS
