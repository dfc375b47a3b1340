"""Servers that mean us no good: slow by design, endless, or with names that read in two ways."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Sequence
from threading import Event
from typing import Any

import pytest

from partner_connector.worker.delivery.sender import Outcome, Sender

PATIENCE = 0.5


async def drips_a_status(writer: asyncio.StreamWriter) -> None:
    """A byte now and then, so that no single wait is long."""
    for byte in b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(PATIENCE / 10)


async def says_nothing_for_ever(writer: asyncio.StreamWriter) -> None:
    """Interim answers without an end."""
    while True:
        writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0)


async def sends_endless_headers(writer: asyncio.StreamWriter) -> None:
    """As fast as they are taken."""
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-Filling: " + b"x" * 8000 + b"\r\n")
        await writer.drain()


async def drips_a_body(writer: asyncio.StreamWriter) -> None:
    """What it says after its status is of no interest."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(PATIENCE / 10)


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        (drips_a_status, Outcome(error="timeout")),
        (says_nothing_for_ever, Outcome(error="timeout")),
        (sends_endless_headers, Outcome(error="connection_failed")),
        (drips_a_body, Outcome(200)),
    ],
)
async def test_an_answer_takes_neither_time_nor_memory(
    monkeypatch: pytest.MonkeyPatch, answers: Any, outcome: Outcome
) -> None:
    """The whole attempt has its seconds, however it is stretched, and headers have their end."""
    monkeypatch.setattr("partner_connector.worker.delivery.sender.PATIENCE_SECONDS", PATIENCE)

    served = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(2000)
        with contextlib.suppress(ConnectionError):
            await answers(writer)
        writer.close()
        served.set()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        sender = Sender(allow_loopback=True)
        began = time.monotonic()
        came = await sender.send(f"http://127.0.0.1:{_port(server)}/", "{}", {})
        took = time.monotonic() - began
        await sender.close()
        # It finds itself cut off.
        await served.wait()
    assert came == outcome
    assert took < PATIENCE * 2


def _port(server: asyncio.Server) -> int:
    port: int = server.sockets[0].getsockname()[1]
    return port


@pytest.mark.parametrize("host", ["xn--strae-oqa.de", "xn--zz.example.com", "a.xn--p1ai"])
async def test_a_name_is_looked_up_as_it_is_written(host: str) -> None:
    """Read as Unicode and written again it would be another's: `strasse.de`, or none at all."""
    asked = []

    async def resolve(name: str, _port: int) -> Sequence[str]:
        asked.append(name)
        return []

    sender = Sender(resolve=resolve)
    outcome = await sender.send(f"https://{host}/", "{}", {})
    await sender.close()
    assert (asked, outcome.error) == ([host], "address_not_public")


@pytest.fixture
async def silent_resolver(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """The name servers of these customers take a lookup and never answer."""
    ended = Event()

    def never(*_: object, **__: object) -> list[object]:
        ended.wait(timeout=30)
        raise socket.gaierror

    monkeypatch.setattr("socket.getaddrinfo", never)
    yield
    ended.set()


@pytest.mark.usefixtures("silent_resolver")
async def test_names_that_never_resolve_hold_up_nobody_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Threads that everybody in the worker needs stay free, and the attempts end in time."""
    monkeypatch.setattr("partner_connector.worker.delivery.sender.PATIENCE_SECONDS", PATIENCE)
    sender = Sender()
    urls = [f"https://hooks-{number}.example.com/" for number in range(40)]
    attempts = asyncio.gather(*(sender.send(url, "{}", {}) for url in urls))
    await asyncio.sleep(PATIENCE / 5)
    began = time.monotonic()
    await asyncio.wait_for(asyncio.to_thread(time.monotonic), timeout=PATIENCE * 4)
    assert time.monotonic() - began < PATIENCE / 2
    assert {outcome.error for outcome in await attempts} == {"timeout"}
    await sender.close()
