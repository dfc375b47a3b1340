"""What a worker works with, on this test's database."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import cast
from uuid import UUID

import pytest

from partner_connector.db.engine import Database
from partner_connector.db.models import Partner
from partner_connector.sealing.keyring import KeyringFile, Ring
from partner_connector.settings import Settings
from partner_connector.worker import process
from partner_connector.worker.context import Workshop
from partner_connector.worker.delivery.deliverer import Deliverer
from partner_connector.worker.delivery.sender import Sender
from tests.api import rows
from tests.support.clients import Tenant
from tests.support.receivers import Receiver, receiver


@asynccontextmanager
async def workshop_open(settings: Settings, ring: Ring) -> AsyncIterator[Workshop]:
    """A worker's with this keyring."""
    async with AsyncExitStack() as stack:
        yield await process._open_workshop(settings, ring, stack)


@pytest.fixture
async def shop(settings: Settings, ring: KeyringFile) -> AsyncIterator[Workshop]:
    """One worker's."""
    async with workshop_open(settings, ring) as opened:
        yield opened


@pytest.fixture
async def other_shop(settings: Settings, ring: KeyringFile) -> AsyncIterator[Workshop]:
    """Another worker's, with connections of its own."""
    async with workshop_open(settings, ring) as opened:
        yield opened


@pytest.fixture
def workspace_id(tenant: Tenant) -> UUID:
    """A workspace."""
    return cast("UUID", tenant.workspace_id)


@pytest.fixture
def server() -> Iterator[Receiver]:
    """Where messages go."""
    with receiver() as running:
        yield running


@pytest.fixture
async def partners(database: Database, workspace_id: UUID) -> list[Partner]:
    """Two of them."""
    ours = rows.integration(workspace_id)
    theirs = [rows.partner(ours), rows.partner(ours)]
    await rows.store(database, ours, *theirs)
    return theirs


@asynccontextmanager
async def delivering(shop: Workshop) -> AsyncIterator[Deliverer]:
    """One worker's."""
    sender = Sender(allow_loopback=True)
    yield Deliverer(shop, sender)
    await sender.close()


@pytest.fixture
async def deliverer(shop: Workshop) -> AsyncIterator[Deliverer]:
    """One worker's."""
    async with delivering(shop) as made:
        yield made
