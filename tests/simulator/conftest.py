"""Fixture: a client of a new small world for each test."""

from collections.abc import AsyncIterator

import httpx
import pytest

from graph_simulator.app import create_app
from graph_simulator.world import build_world

from .surface import Surface


@pytest.fixture
async def surface() -> AsyncIterator[Surface]:
    transport = httpx.ASGITransport(app=create_app(build_world(seed=7)))
    async with httpx.AsyncClient(transport=transport, base_url="http://graph.test") as http:
        yield Surface(http, (await http.get("/__simulator__/world")).json())
