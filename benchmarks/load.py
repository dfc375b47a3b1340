"""As many requests as a server answers: one address over and over, on connections that stay open.

As little as a client can do, since it shares two cores with what it measures: the requests are
prepared, and of an answer only its status and its end are looked at.
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
    """What is asked for."""

    url: str
    headers: Mapping[str, str]

    def request(self) -> bytes:
        """As it goes over the wire."""
        parts = urlsplit(self.url)
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        lines = [f"GET {target} HTTP/1.1", f"Host: {parts.netloc}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return "\r\n".join([*lines, "", ""]).encode("ascii")


def requests_a_second(address: Address, seconds: float) -> float:
    """How many were answered. Any other answer than 200 ends the benchmark."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_load(address, seconds))


async def _load(address: Address, seconds: float) -> float:
    parts, request, loop = urlsplit(address.url), address.request(), asyncio.get_running_loop()
    asking = []
    for _ in range(CONNECTIONS):
        _, each = await loop.create_connection(
            lambda: _Asking(request, loop.create_future()), parts.hostname or "", parts.port or 80
        )
        asking.append(each)
    began = time.perf_counter()
    await asyncio.wait([each.failed for each in asking], timeout=seconds)
    took = time.perf_counter() - began
    for each in asking:
        each.stop()
    return sum(each.answered for each in asking) / took


class _Asking(asyncio.Protocol):
    """One connection: the next request as soon as the answer is there."""

    def __init__(self, request: bytes, failed: asyncio.Future[None]) -> None:
        self.answered = 0
        self.failed = failed
        self._request = request
        self._got = bytearray()
        self._ends_at = 0
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's own transports are of asyncio's class by behaviour alone.
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
        self._fail(error or ConnectionError("the server hung up"))

    def stop(self) -> None:
        """Ask no more. Raises what went wrong."""
        if self.failed.done():
            self.failed.result()
        self.failed.cancel()
        assert self._transport is not None
        self._transport.close()

    def _fail(self, error: Exception) -> None:
        if not self.failed.done():
            self.failed.set_exception(error)
