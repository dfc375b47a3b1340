"""Middlewares, around minimal ASGI applications."""

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from partner_connector.web.middleware import (
    BodyLimitMiddleware,
    CrashMiddleware,
    RequestContextMiddleware,
)
from tests.support.clients import client_of


async def _crash_late(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    raise RuntimeError("canary")


async def _crash_early(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise RuntimeError("canary")


def client(application: object) -> httpx.AsyncClient:
    """Return a client of an ASGI application behind all of the product's middlewares."""
    limited = BodyLimitMiddleware(application)  # type: ignore[arg-type]
    wrapped = RequestContextMiddleware(CrashMiddleware(limited))
    return client_of(wrapped, None)  # type: ignore[arg-type]


async def test_crash_before_response_is_answered_as_problem() -> None:
    """Check that an uncaught exception is a 500 problem with a request id, without its message."""
    async with client(_crash_early) as http:
        answer = await http.get("/")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert "canary" not in answer.text


async def test_crash_after_response_start_sends_no_second_response() -> None:
    """Check that after a response has started, no second response is sent into it."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    with pytest.raises(RuntimeError):
        await RequestContextMiddleware(CrashMiddleware(_crash_late))(scope, receive, send)
    assert [message["type"] for message in sent] == ["http.response.start"]


async def test_lifespan_passes_through() -> None:
    """Check that the middlewares do not handle lifespan messages."""
    seen: list[str] = []

    async def application(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(scope["type"])

    async def receive() -> Message:
        return {"type": "lifespan.startup"}

    async def send(message: Message) -> None:
        seen.append(message["type"])

    await RequestContextMiddleware(BodyLimitMiddleware(application))(
        {"type": "lifespan"}, receive, send
    )
    assert seen == ["lifespan"]


async def test_header_of_application_is_kept() -> None:
    """Check that a header that the application sets is kept; missing defaults are added."""

    async def application(_scope: Scope, _receive: Receive, send: Send) -> None:
        headers = [(b"cache-control", b"max-age=60")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    async with client(application) as http:
        answer = await http.get("/")
    assert answer.headers["cache-control"] == "max-age=60"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("length", ["65537", "99999999999999999999", "065537"])
async def test_large_body_is_refused_before_it_is_read(length: str) -> None:
    """Check that a request with `Content-Length` over 64 KiB never reaches the application."""
    async with client(_crash_early) as http:
        answer = await http.post("/", headers={"Content-Length": length}, content=b"x")
    assert answer.status_code == 413
