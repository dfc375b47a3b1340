"""Fixtures of worker tests: contexts, receivers and deliverers on the test's database."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import cast
from uuid import UUID

import pytest

from partner_connector.db.engine import Database
from partner_connector.db.models import Partner
from partner_connector.sealing.keyring import KeyringFile, KeyringSource
from partner_connector.settings import Settings
from partner_connector.worker import process
from partner_connector.worker.context import WorkerContext
from partner_connector.worker.delivery.deliverer import Deliverer
from partner_connector.worker.delivery.sender import Sender
from tests.api import rows
from tests.support.clients import Tenant
from tests.support.receivers import Receiver, receiver


@asynccontextmanager
async def open_context(settings: Settings, ring: KeyringSource) -> AsyncIterator[WorkerContext]:
    """Yield the context of a worker with this keyring."""
    async with AsyncExitStack() as stack:
        yield await process._open_context(settings, ring, stack)


@pytest.fixture
async def context(settings: Settings, ring: KeyringFile) -> AsyncIterator[WorkerContext]:
    """The context of one worker."""
    async with open_context(settings, ring) as opened:
        yield opened


@pytest.fixture
async def other_context(settings: Settings, ring: KeyringFile) -> AsyncIterator[WorkerContext]:
    """The context of another worker, with its own connections."""
    async with open_context(settings, ring) as opened:
        yield opened


@pytest.fixture
def workspace_id(tenant: Tenant) -> UUID:
    """The id of a workspace."""
    return cast("UUID", tenant.workspace_id)


@pytest.fixture
def server() -> Iterator[Receiver]:
    """A server that receives webhook events."""
    with receiver() as running:
        yield running


@pytest.fixture
async def partners(database: Database, workspace_id: UUID) -> list[Partner]:
    """Two partners of one integration."""
    integration = rows.integration(workspace_id)
    made = [rows.partner(integration), rows.partner(integration)]
    await rows.store(database, integration, *made)
    return made


@asynccontextmanager
async def open_deliverer(context: WorkerContext) -> AsyncIterator[Deliverer]:
    """Yield the deliverer of one worker."""
    sender = Sender(allow_loopback=True)
    yield Deliverer(context, sender)
    await sender.close()


@pytest.fixture
async def deliverer(context: WorkerContext) -> AsyncIterator[Deliverer]:
    """The deliverer of one worker."""
    async with open_deliverer(context) as made:
        yield made
