"""Test that calls stay fast in a big world: no call reads the whole world."""

import time
from typing import Any

import httpx

from graph_simulator.app import create_app
from graph_simulator.world import build_world

from .surface import Surface, graph_id

MEDIAN_SECONDS = 0.01
"""Enough on a busy machine; a scan of the whole world takes ten times as long."""


async def test_calls_are_fast_in_a_big_world() -> None:
    """Read four lists in a world of 20 partners with 200 assets and 1000 people each."""
    app = create_app(build_world(partners=20, assets=200, users=1000))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://graph.test") as http:
        world = app.state.simulator.world
        partner = next(iter(world.partners.values()))
        token = partner.tokens["good"].text
        surface = Surface(http, {"host": {"id": world.host_id, "token": token}})
        asset = world.shared_with(world.businesses[partner.business_id])[-1]
        brief = {"type": asset.kind, "id": asset.id}
        reads: list[tuple[str, dict[str, Any]]] = [
            (f"{partner.business_id}/business_users", {"fields": "id,name,email", "limit": 25}),
            (f"{partner.business_id}/client_ad_accounts", {"limit": 25}),
            (f"{graph_id(brief)}/assigned_users", {"business": partner.business_id}),
            ("me/assigned_ad_accounts", {"limit": 25}),
        ]
        for path, params in reads:
            times = []
            for _ in range(9):
                began = time.perf_counter()
                await surface.read(path, **params)
                times.append(time.perf_counter() - began)
            assert sorted(times)[4] < MEDIAN_SECONDS, path
