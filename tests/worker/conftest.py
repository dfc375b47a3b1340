"""What a worker works with, on this test's database."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import cast
from uuid import UUID

import pytest

from partner_connector import worker
from partner_connector.sealing.keyring import KeyringFile, Ring
from partner_connector.settings import Settings
from partner_connector.workshop import Workshop
from tests.support.clients import Tenant


@asynccontextmanager
async def workshop_open(settings: Settings, ring: Ring) -> AsyncIterator[Workshop]:
    """A worker's with this keyring."""
    async with AsyncExitStack() as stack:
        yield await worker._open_workshop(settings, ring, stack)


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
