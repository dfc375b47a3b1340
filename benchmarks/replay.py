"""The limit of any client: the product's requests, sent again by a minimal httpx loop.

A recorder between the product and Meta records all requests of one check. The replay sends the same
bytes in the same order, with the same concurrency: a request waits for exactly those requests that
had been answered before it was first sent. Answers are read and discarded.
"""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import uvloop

from benchmarks.serving import open_listener, server_of, url_of

Message = MutableMapping[str, Any]

# Answers differ a little: links contain the port, and headers in a batch the current usage.
_MAX_SIZE_DIFFERENCE = 0.05
_HOP_BY_HOP = {b"host", b"content-length", b"connection", b"transfer-encoding"}


@dataclass(frozen=True, slots=True)
class Sent:
    """A recorded request. `began` and `ended` are seconds of one clock."""

    method: str
    target: str
    headers: list[tuple[bytes, bytes]] = field(repr=False)
    body: bytes = field(repr=False)
    began: float
    ended: float
    answer: bytes = field(repr=False)


class Recorder:
    """An ASGI app that forwards all requests to `upstream` and records them."""

    def __init__(self, upstream: str) -> None:
        self.url = ""
        self.sent: list[Sent] = []
        self._http = httpx.AsyncClient(base_url=upstream, trust_env=False, timeout=60)

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        began = time.perf_counter()
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        query = scope["query_string"].decode()
        target = scope["path"] + (f"?{query}" if query else "")
        headers = [(k, v) for k, v in scope["headers"] if k not in _HOP_BY_HOP]
        answer = await self._http.request(scope["method"], target, headers=headers, content=body)
        headers_to_send = [
            (k.lower(), v) for k, v in answer.headers.raw if k.lower() not in _HOP_BY_HOP
        ]
        start = {
            "type": "http.response.start",
            "status": answer.status_code,
            "headers": headers_to_send,
        }
        await send(start)
        await send({"type": "http.response.body", "body": answer.content})
        ended, content = time.perf_counter(), answer.content
        self.sent.append(Sent(scope["method"], target, headers, body, began, ended, content))


@contextmanager
def recording(upstream: str) -> Iterator[Recorder]:
    """Run a recorder in a thread of its own."""
    listener, recorder = open_listener(), Recorder(upstream)
    recorder.url = url_of(listener)
    server = server_of(recorder)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield recorder
    finally:
        server.should_exit = True
        thread.join()


def replay(url: str, sent: Sequence[Sent]) -> float:
    """Send all requests again, and return the seconds it took.

    Raises `RuntimeError` if an answer differs in size from the recorded one.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_replay(url, sent))


async def _replay(url: str, sent: Sequence[Sent]) -> float:
    answered = [asyncio.Event() for _ in sent]
    at_once = httpx.Limits(max_connections=len(sent), max_keepalive_connections=len(sent))
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=60, limits=at_once) as http:

        async def again(place: int, request: Sent) -> None:
            for other, event in zip(sent, answered, strict=True):
                if other.ended <= request.began:
                    await event.wait()
            answer = await http.request(
                request.method, request.target, headers=request.headers, content=request.body
            )
            if abs(len(answer.content) / len(request.answer) - 1) > _MAX_SIZE_DIFFERENCE:
                raise RuntimeError(
                    "the answer to a replayed request differs from the recorded answer"
                )
            answered[place].set()

        began = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for place, request in enumerate(sent):
                tasks.create_task(again(place, request))
        return time.perf_counter() - began
