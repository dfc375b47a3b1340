"""What happens around a request, for applications of any kind."""

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
    """A client of a bare ASGI application behind all of our own middlewares."""
    limited = BodyLimitMiddleware(application)  # type: ignore[arg-type]
    wrapped = RequestContextMiddleware(CrashMiddleware(limited))
    return client_of(wrapped, None)  # type: ignore[arg-type]


async def test_a_crash_before_the_answer_is_a_problem() -> None:
    """A failure that nobody caught is a 500 in our shape, with an id and no text of it."""
    async with client(_crash_early) as http:
        answer = await http.get("/")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert "canary" not in answer.text


async def test_a_crash_after_the_answer_began_ends_it() -> None:
    """Once an answer has begun no second one is sent into it."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    with pytest.raises(RuntimeError):
        await RequestContextMiddleware(CrashMiddleware(_crash_late))(scope, receive, send)
    assert [message["type"] for message in sent] == ["http.response.start"]


async def test_other_protocols_pass_through() -> None:
    """The lifespan of an application is not a request."""
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


async def test_a_header_of_the_application_wins() -> None:
    """An answer may be stricter or laxer on purpose; it is not overruled."""

    async def application(_scope: Scope, _receive: Receive, send: Send) -> None:
        headers = [(b"cache-control", b"max-age=60")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    async with client(application) as http:
        answer = await http.get("/")
    assert answer.headers["cache-control"] == "max-age=60"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("announced", ["65537", "99999999999999999999", "065537"])
async def test_a_body_is_refused_before_it_is_read(announced: str) -> None:
    """What announces more than 64 KiB never reaches the application."""
    async with client(_crash_early) as http:
        answer = await http.post("/", headers={"Content-Length": announced}, content=b"x")
    assert answer.status_code == 413
