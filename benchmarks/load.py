"""Load generator: repeats one request on persistent connections as fast as the server answers.

It does very little, since it shares two cores with the server: the request is prepared before, and
only the status and the end of an answer are read.
"""

import asyncio
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

import uvloop

CONNECTIONS = 16
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)
_END_OF_HEAD = b"\r\n\r\n"
_OK = b"HTTP/1.1 200 "


@dataclass(frozen=True, slots=True)
class Address:
    """URL and headers of the request."""

    url: str
    headers: Mapping[str, str]

    def request(self) -> bytes:
        """Return the bytes of the HTTP request."""
        parts = urlsplit(self.url)
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        lines = [f"GET {target} HTTP/1.1", f"Host: {parts.netloc}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return "\r\n".join([*lines, "", ""]).encode("ascii")


def requests_a_second(address: Address, seconds: float) -> float:
    """Return the answered requests per second. Raises `RuntimeError` if a status is not 200."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_load(address, seconds))


async def _load(address: Address, seconds: float) -> float:
    parts, request, loop = urlsplit(address.url), address.request(), asyncio.get_running_loop()
    connections = []
    for _ in range(CONNECTIONS):
        _, each = await loop.create_connection(
            lambda: _Connection(request, loop.create_future()),
            parts.hostname or "",
            parts.port or 80,
        )
        connections.append(each)
    began = time.perf_counter()
    await asyncio.wait([each.failed for each in connections], timeout=seconds)
    took = time.perf_counter() - began
    for each in connections:
        each.stop()
    return sum(each.answered for each in connections) / took


class _Connection(asyncio.Protocol):
    """Connection that sends the next request as soon as it has the answer."""

    def __init__(self, request: bytes, failed: asyncio.Future[None]) -> None:
        self.answered = 0
        self.failed = failed
        self._request = request
        self._got = bytearray()
        self._ends_at = 0
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports behave like asyncio's class but do not inherit from it.
        self._transport = cast("asyncio.WriteTransport", transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        got = self._got
        got += data
        if not self._ends_at:
            head = got.find(_END_OF_HEAD)
            if head < 0:
                return
            length = _LENGTH.search(got, 0, head)
            if length is None or not got.startswith(_OK):
                self._fail(RuntimeError(f"answered {bytes(got[:200])!r}"))
                return
            self._ends_at = head + len(_END_OF_HEAD) + int(length[1])
        if len(got) >= self._ends_at:
            self.answered += 1
            self._ends_at = 0
            got.clear()
            assert self._transport is not None
            self._transport.write(self._request)

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(error or ConnectionError("the server closed the connection"))

    def stop(self) -> None:
        """Close the connection. Raises its failure, if it has one."""
        if self.failed.done():
            self.failed.result()
        self.failed.cancel()
        assert self._transport is not None
        self._transport.close()

    def _fail(self, error: Exception) -> None:
        if not self.failed.done():
            self.failed.set_exception(error)
