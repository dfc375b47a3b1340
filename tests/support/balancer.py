"""A balancer of connections, as plain as they come.

Each new connection goes to the next target whose `/readyz` answers 200, and stays there. A target
that answers anything else is taken out at once. Nothing is sent twice, so that what breaks is seen.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httpx

PROBED_EVERY_SECONDS = 0.1
_CHUNK = 64 * 1024


class Balancer:
    """In front of targets that come and go, each at its own address."""

    def __init__(self, targets: Iterable[str]) -> None:
        self.url = ""
        self._targets = list(targets)
        self._ready: list[str] = []
        self._turns = 0

    async def has_all(self) -> None:
        """Until every target is ready."""
        while len(self._ready) < len(self._targets):
            await asyncio.sleep(PROBED_EVERY_SECONDS / 2)

    async def probe(self) -> None:
        """For as long as it runs."""
        # A probe is a connection of its own: kept ones would not tell whether any is taken.
        fresh = httpx.Limits(max_keepalive_connections=0)
        async with httpx.AsyncClient(limits=fresh, timeout=5, trust_env=False) as http:
            while True:
                answers = await asyncio.gather(*(_is_ready(http, url) for url in self._targets))
                asked = zip(self._targets, answers, strict=True)
                self._ready = [url for url, is_ready in asked if is_ready]
                await asyncio.sleep(PROBED_EVERY_SECONDS)

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of a client, to its end."""
        if not self._ready:
            writer.close()
            return
        self._turns += 1
        target = urlsplit(self._ready[self._turns % len(self._ready)])
        try:
            answers, questions = await asyncio.open_connection(target.hostname, target.port)
        except OSError:
            writer.close()
            return
        ways = [
            asyncio.create_task(_pump(reader, questions)),
            asyncio.create_task(_pump(answers, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            for end in (questions, writer):
                end.close()
            await asyncio.gather(*ways, return_exceptions=True)


@asynccontextmanager
async def balancer(targets: Iterable[str]) -> AsyncIterator[Balancer]:
    """A running one, with all of its targets ready."""
    running = Balancer(targets)
    server = await asyncio.start_server(running.carry, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    running.url = f"http://{host}:{port}"
    probing = asyncio.create_task(running.probe())
    try:
        await asyncio.wait_for(running.has_all(), timeout=10)
        yield running
    finally:
        probing.cancel()
        server.close()
        await asyncio.gather(probing, return_exceptions=True)


async def _is_ready(http: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await http.get(f"{url}/readyz")).status_code == 200
    except httpx.TransportError:
        return False


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """All that comes, until one end closes."""
    try:
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    except OSError:
        return
