"""The API behind a real socket, in the test's own process, for answers that are streamed.

The client of the app in memory (`clients.client_of`) returns an answer only when it is complete.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
from fastapi import FastAPI

from partner_connector.cli.serving import ApiServer, address, listen


@dataclass(frozen=True, slots=True)
class Served:
    """Running server, its URL, and the task that ends with it."""

    server: ApiServer
    url: str
    ended: asyncio.Task[None]

    def client(self, api_key: str) -> httpx.AsyncClient:
        """Return a client of this server with this API key."""
        headers = {"Authorization": f"Bearer {api_key}"}
        limits = httpx.Limits(max_connections=None)
        return httpx.AsyncClient(
            base_url=self.url, headers=headers, limits=limits, timeout=20, trust_env=False
        )


@asynccontextmanager
async def served(app: FastAPI) -> AsyncIterator[Served]:
    """Serve the app on a free port, and end the server with the block."""
    listener = listen("127.0.0.1", 0)
    server = ApiServer(app)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield Served(server, address(listener), task)
    finally:
        server.end()
        await task
