"""A worker that is killed while messages are on their way: nothing is lost, and order stays."""

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
from tests.worker.test_webhooks import deliveries, register, tell

KILLS = 3
EACH = 30


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Messages may go to this machine."""
    return settings.model_copy(update={"webhook_allow_loopback": True})


async def wait_for(server: Receiver, number: int) -> None:
    """Until the server has so many requests."""
    for _ in range(600):
        if len(server.requests) >= number:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{len(server.requests)} of {number} came")


async def test_killed_in_between(
    api: httpx.AsyncClient,
    database: Database,
    workspace_id: UUID,
    settings: Settings,
    ring: KeyringFile,
    tmp_path: Path,
) -> None:
    """Each event arrives at least once, with one id, first in the order of its partner, whenever
    the worker is killed.
    """
    ours = rows.integration(workspace_id)
    partners = [rows.partner(ours) for _ in range(3)]
    await rows.store(database, ours, *partners)
    keyring_file.write_new(tmp_path / "keyring.json", ring)
    assert settings.database_url is not None
    given = {
        "DATA_DIR": str(tmp_path),
        "DATABASE_URL": settings.database_url.get_secret_value(),
        "GRAPH_BASE_URL": settings.graph_base_url,
        "WEBHOOK_ALLOW_LOOPBACK": "true",
    }
    with receiver() as server:
        await register(api, server)
        for _ in range(EACH):
            for partner in partners:
                await tell(database, partner)
        for kill in range(KILLS):
            with worker_process(given, tmp_path, f"worker-{kill}") as worker:
                await wait_for(server, (kill + 1) * EACH // 2)
                worker.kill()
            # As if its leases had run out: half a minute that nobody needs to wait for.
            async with database.writing() as session:
                leased = update(WebhookDelivery).where(WebhookDelivery.leased_until.is_not(None))
                await session.execute(leased.values(leased_until=now()))
        with worker_process(given, tmp_path, "last"):
            while {each.status for each in await deliveries(database)} != {"delivered"}:
                await asyncio.sleep(0.1)
    for partner in partners:
        heard = [
            each for each in server.requests if each.data["partner_id"] == encode("ptn", partner.id)
        ]
        first_heard = list(dict.fromkeys(each.data["sequence"] for each in heard))
        assert len(first_heard) == EACH
        assert first_heard == sorted(first_heard)
        # What came twice is the same message, and one that was on its way when the worker died.
        assert len({(each.id, each.raw) for each in heard}) == EACH
        assert len(heard) <= EACH + KILLS
