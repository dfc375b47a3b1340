"""Minimal TCP load balancer.

Each new connection goes to the next target whose `/readyz` answers 200, and stays there. The
balancer removes a target that answers anything else at once. It never retries, so that a test sees
every broken connection.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httpx

_PROBE_INTERVAL_SECONDS = 0.1
_CHUNK = 64 * 1024


class Balancer:
    """Round-robin balancer in front of targets that start and stop at fixed addresses."""

    def __init__(self, targets: Iterable[str]) -> None:
        self.url = ""
        self._targets = list(targets)
        self._ready: list[str] = []
        self._connections = 0

    async def has_all(self) -> None:
        """Wait until every target is ready."""
        while len(self._ready) < len(self._targets):
            await asyncio.sleep(_PROBE_INTERVAL_SECONDS / 2)

    async def probe(self) -> None:
        """Check the readiness of every target, forever."""
        # Each probe opens a new connection: a kept one does not show that new ones are accepted.
        limits = httpx.Limits(max_keepalive_connections=0)
        async with httpx.AsyncClient(limits=limits, timeout=5, trust_env=False) as http:
            while True:
                answers = await asyncio.gather(*(_is_ready(http, url) for url in self._targets))
                checked = zip(self._targets, answers, strict=True)
                self._ready = [url for url, is_ready in checked if is_ready]
                await asyncio.sleep(_PROBE_INTERVAL_SECONDS)

    async def forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward one client connection until either side closes it."""
        if not self._ready:
            writer.close()
            return
        self._connections += 1
        target = urlsplit(self._ready[self._connections % len(self._ready)])
        try:
            target_reader, target_writer = await asyncio.open_connection(
                target.hostname, target.port
            )
        except OSError:
            writer.close()
            return
        pumps = [
            asyncio.create_task(_pump(reader, target_writer)),
            asyncio.create_task(_pump(target_reader, writer)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            for each in (target_writer, writer):
                each.close()
            await asyncio.gather(*pumps, return_exceptions=True)


@asynccontextmanager
async def balancer(targets: Iterable[str]) -> AsyncIterator[Balancer]:
    """Run a balancer. Yield it when all of its targets are ready."""
    running = Balancer(targets)
    server = await asyncio.start_server(running.forward, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    running.url = f"http://{host}:{port}"
    probe_task = asyncio.create_task(running.probe())
    try:
        await asyncio.wait_for(running.has_all(), timeout=10)
        yield running
    finally:
        probe_task.cancel()
        server.close()
        await asyncio.gather(probe_task, return_exceptions=True)


async def _is_ready(http: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await http.get(f"{url}/readyz")).status_code == 200
    except httpx.TransportError:
        return False


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy bytes until one end closes."""
    try:
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    except OSError:
        return
