"""Hostile receivers: slow, endless, or with host names that can be read in two ways."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Sequence
from threading import Event
from typing import Any

import pytest

from partner_connector.worker.delivery.sender import Outcome, Sender

TIMEOUT_SECONDS = 0.5


async def sends_status_slowly(writer: asyncio.StreamWriter) -> None:
    """Send a byte now and then, so that no single wait is long."""
    for byte in b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(TIMEOUT_SECONDS / 10)


async def sends_interim_responses_forever(writer: asyncio.StreamWriter) -> None:
    """Send interim responses without an end."""
    while True:
        writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0)


async def sends_endless_headers(writer: asyncio.StreamWriter) -> None:
    """Send headers as fast as they are read."""
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-Filling: " + b"x" * 8000 + b"\r\n")
        await writer.drain()


async def sends_body_slowly(writer: asyncio.StreamWriter) -> None:
    """Send a body that the sender ignores after the status."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(TIMEOUT_SECONDS / 10)


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        (sends_status_slowly, Outcome(error="timeout")),
        (sends_interim_responses_forever, Outcome(error="timeout")),
        (sends_endless_headers, Outcome(error="connection_failed")),
        (sends_body_slowly, Outcome(200)),
    ],
)
async def test_hostile_response_is_limited_in_time_and_memory(
    monkeypatch: pytest.MonkeyPatch, answers: Any, outcome: Outcome
) -> None:
    """Limit the time of the whole attempt and the size of the headers."""
    monkeypatch.setattr(
        "partner_connector.worker.delivery.sender.ATTEMPT_TIMEOUT_SECONDS", TIMEOUT_SECONDS
    )

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
        result = await sender.send(f"http://127.0.0.1:{_port(server)}/", "{}", {})
        took = time.monotonic() - began
        await sender.close()
        # The receiver notices that its connection is closed.
        await served.wait()
    assert result == outcome
    assert took < TIMEOUT_SECONDS * 2


def _port(server: asyncio.Server) -> int:
    port: int = server.sockets[0].getsockname()[1]
    return port


@pytest.mark.parametrize("host", ["xn--strae-oqa.de", "xn--zz.example.com", "a.xn--p1ai"])
async def test_host_name_is_resolved_as_written(host: str) -> None:
    """Avoid a conversion through Unicode, which would give another name, such as `strasse.de`, or
    none.
    """
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
    """A resolver that takes each lookup and never answers."""
    ended = Event()

    def never(*_: object, **__: object) -> list[object]:
        ended.wait(timeout=30)
        raise socket.gaierror

    monkeypatch.setattr("socket.getaddrinfo", never)
    yield
    ended.set()


@pytest.mark.usefixtures("silent_resolver")
async def test_unresolvable_names_do_not_block_shared_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """End the attempts in time."""
    monkeypatch.setattr(
        "partner_connector.worker.delivery.sender.ATTEMPT_TIMEOUT_SECONDS", TIMEOUT_SECONDS
    )
    sender = Sender()
    urls = [f"https://hooks-{number}.example.com/" for number in range(40)]
    attempts = asyncio.gather(*(sender.send(url, "{}", {}) for url in urls))
    await asyncio.sleep(TIMEOUT_SECONDS / 5)
    began = time.monotonic()
    await asyncio.wait_for(asyncio.to_thread(time.monotonic), timeout=TIMEOUT_SECONDS * 4)
    assert time.monotonic() - began < TIMEOUT_SECONDS / 2
    assert {outcome.error for outcome in await attempts} == {"timeout"}
    await sender.close()
