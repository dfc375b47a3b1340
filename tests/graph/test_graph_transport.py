"""The way out: read-only by construction, to one host, silent and without memory."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import pytest

from partner_connector.graph import (
    GraphClient,
    ReadOnlyTransport,
    UnknownGraphError,
    Unreachable,
    WriteRefused,
    edges,
    open_http_client,
)

from .meta import BASE_URL

READ = {"method": "GET", "relative_url": "me?fields=id"}


def guarded(base_url: str = BASE_URL) -> httpx.AsyncClient:
    """A bare HTTP client behind the transport, which records nothing and answers everything."""
    inner = httpx.MockTransport(lambda request: httpx.Response(200, json={}))
    return httpx.AsyncClient(
        base_url=base_url, transport=ReadOnlyTransport(inner, base_url=base_url)
    )


def batch(*operations: object) -> dict[str, str]:
    return {"access_token": "T", "include_headers": "true", "batch": json.dumps(operations)}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "get"])
@pytest.mark.parametrize("path", ["/v26.0/1/agencies", "/v26.0/act_1", "/v26.0/me"])
async def test_only_get_reaches_an_edge(method: str, path: str) -> None:
    """No other verb leaves, whatever the path."""
    request = guarded().build_request("GET", path)
    request.method = method

    with pytest.raises(WriteRefused):
        await guarded().send(request)


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/v26.0/me",
        "https://graph.facebook.com.evil.example/v26.0/me",
        "https://graph.facebook.com@evil.example/v26.0/me",
        "https://graph-video.facebook.com/v26.0/me",
        "http://graph.facebook.com/v26.0/me",
        "https://graph.facebook.com:8443/v26.0/me",
    ],
)
async def test_no_other_origin_is_reached(url: str) -> None:
    """Host, scheme and port are pinned."""
    with pytest.raises(WriteRefused, match="host"):
        await guarded().get(url)


async def test_a_host_header_cannot_point_elsewhere() -> None:
    """The name in the header is the name that was connected to."""
    with pytest.raises(WriteRefused, match="host"):
        await guarded().get("/v26.0/me", headers={"Host": "evil.example"})


@pytest.mark.parametrize(
    "path",
    [
        "/v26.0/me?method=delete",
        "/v26.0/me?METHOD=post",
        "/v26.0/me?access_token=T",
        "/v26.0/me?client_secret=S",
        "/v26.0/me?input_token=T",
        "/v26.0/me/debug_token_not?input_token=T",
    ],
)
async def test_no_parameter_makes_a_get_a_write_or_carries_a_token(path: str) -> None:
    """Graph takes `method` as a verb; tokens stay out of URLs except in debug_token."""
    with pytest.raises(WriteRefused):
        await guarded().get(path)


@pytest.mark.parametrize("name", ["X-HTTP-Method-Override", "x-http-method", "X-Method-Override"])
async def test_no_header_changes_the_method(name: str) -> None:
    """Override headers are refused."""
    with pytest.raises(WriteRefused):
        await guarded().get("/v26.0/me", headers={name: "DELETE"})


async def test_reads_pass() -> None:
    """A GET, a token inspection and a batch of reads go through."""
    http = guarded()

    assert (await http.get("/v26.0/me?fields=id")).is_success
    assert (await http.get("/v26.0/debug_token?input_token=T")).is_success
    for root in ("/v26.0/", "/v26.0", "/"):
        assert (await http.post(root, data=batch(READ, READ))).is_success


@pytest.mark.parametrize(
    "operation",
    [
        {"method": "POST", "relative_url": "me"},
        {"method": "DELETE", "relative_url": "me"},
        {"method": "get", "relative_url": "me"},
        {"method": ["GET"], "relative_url": "me"},
        {"relative_url": "me"},
        {"method": "GET"},
        {**READ, "body": "a=b"},
        {**READ, "attached_files": "f"},
        {**READ, "headers": []},
        {**READ, "name": "n"},
        {"method": "GET", "relative_url": "me?method=delete"},
        {"method": "GET", "relative_url": "me?m%65thod=delete"},
        {"method": "GET", "relative_url": "me?access_token=T"},
        {"method": "GET", "relative_url": "debug_token?input_token=T"},
        {"method": "GET", "relative_url": "https://evil.example/me"},
        {"method": "GET", "relative_url": "//evil.example/me"},
        "GET me",
        None,
    ],
)
async def test_one_bad_operation_stops_the_batch(operation: object) -> None:
    """Every operation of a batch is a plain GET, or nothing is sent."""
    with pytest.raises(WriteRefused):
        await guarded().post("/v26.0/", data=batch(READ, operation))


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"access_token": "T"},
        {"batch": "not json"},
        {"batch": "{}"},
        {**batch(READ), "method": "delete"},
        {**batch(READ), "name": "x"},
        {**batch(READ), "batch": [json.dumps([READ]), json.dumps([READ])]},
    ],
)
async def test_a_post_that_is_not_a_plain_batch_is_stopped(form: dict[str, str]) -> None:
    """Only the fields of a batch, each once."""
    with pytest.raises(WriteRefused):
        await guarded().post("/v26.0/", data=form)


@pytest.mark.parametrize("root", ["/v26.0/me", "/v26.0/?method=delete", "/v26/", "/x/v26.0/"])
async def test_a_batch_goes_to_the_root_only(root: str) -> None:
    """The one POST has one address."""
    with pytest.raises(WriteRefused):
        await guarded().post(root, data=batch(READ))


async def test_a_batch_in_another_encoding_is_stopped() -> None:
    """What is judged is what is sent: JSON and multipart bodies are not read, so not let out."""
    with pytest.raises(WriteRefused):
        await guarded().post("/v26.0/", json=batch(READ))
    with pytest.raises(WriteRefused):
        await guarded().post("/v26.0/", data=batch(READ), files={"f": b"x"})


async def test_a_base_url_may_have_a_path() -> None:
    """Behind a gateway the root moves and the rules stay."""
    http = guarded("https://gateway.example/meta")

    assert (await http.post("/v26.0/", data=batch(READ))).is_success
    with pytest.raises(WriteRefused):
        await http.post("/v26.0/me", data=batch(READ))


@pytest.mark.parametrize(
    "base_url",
    [
        "http://graph.facebook.com",
        "ftp://graph.facebook.com",
        "https://user:pass@graph.facebook.com",
        "https://graph.facebook.com?x=1",
        "graph.facebook.com",
    ],
)
def test_an_unsafe_base_url_is_refused(base_url: str) -> None:
    """Tokens travel over TLS, or to this machine."""
    with pytest.raises(ValueError, match=r"https|origin"):
        open_http_client(base_url)


async def test_the_client_is_closed_to_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy of the environment sees a token; time limits and redirects are set by name."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("ALL_PROXY", "http://proxy.example:3128")

    async with open_http_client() as http:
        assert not http.trust_env
        assert not http.follow_redirects
        assert http._mounts == {}
        assert http.timeout == httpx.Timeout(connect=5.0, read=30.0, write=10.0, pool=30.0)


def test_the_http_libraries_are_silenced() -> None:
    """Opening a client keeps whole URLs out of every log, even if levels are lowered later."""
    open_http_client()

    for name in ("httpx", "httpcore", "httpcore.http11", "httpcore.connection"):
        assert logging.getLogger(name).getEffectiveLevel() == logging.WARNING


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def served_by(handler: Handler, **options: float) -> AsyncIterator[GraphClient]:
    """A client of a real socket on this machine."""
    connections: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await handler(reader, writer)
        writer.close()
        await writer.wait_closed()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.add(asyncio.create_task(handle(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async def no_sleep(seconds: float) -> None:
        """Stand in for the waits between attempts."""

    async with server, open_http_client(f"http://127.0.0.1:{port}", **options) as http:  # type: ignore[arg-type]
        yield GraphClient(http, app_id="1", sleep=no_sleep)
    await asyncio.gather(*connections)


async def test_a_silent_server_times_out() -> None:
    """The read time limit works on a real socket and is raised as no answer."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with served_by(silent, read_timeout=0.05) as client:
        with pytest.raises(Unreachable, match="ReadTimeout"):
            await client.reader("T").get(edges.me())


async def test_a_reset_connection_is_no_answer() -> None:
    """A connection closed in the middle is raised as no answer."""

    async def resetting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")

    async with served_by(resetting) as client:
        with pytest.raises(Unreachable, match="RemoteProtocolError"):
            await client.reader("T").get(edges.me())


async def test_redirects_and_cookies_are_ignored() -> None:
    """A redirect is an error, and a cookie set for one partner is never sent again."""
    heard: list[bytes] = []

    async def redirecting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await _head(reader):
            heard.append(head.lower())
            writer.write(
                b"HTTP/1.1 302 Found\r\nSet-Cookie: a=b; Path=/\r\nLocation: /v26.0/other\r\n"
                b"Content-Length: 0\r\n\r\n"
            )

    async with served_by(redirecting) as client:
        for token in ("OURS", "THEIRS"):
            with pytest.raises(UnknownGraphError):
                await client.reader(token).get(edges.me())

    assert [b"/v26.0/me" in head for head in heard] == [True, True]
    assert not any(b"cookie" in head for head in heard)


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""
