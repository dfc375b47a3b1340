"""The HTTP transport: read-only, limited to one host, without logs or cookies."""

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


def read_only_client(base_url: str = BASE_URL) -> httpx.AsyncClient:
    """Return a bare HTTP client behind the transport. Every request gets an empty success."""
    inner = httpx.MockTransport(lambda request: httpx.Response(200, json={}))
    return httpx.AsyncClient(
        base_url=base_url, transport=ReadOnlyTransport(inner, base_url=base_url)
    )


def batch(*operations: object) -> dict[str, str]:
    return {"access_token": "T", "include_headers": "true", "batch": json.dumps(operations)}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "get"])
@pytest.mark.parametrize("path", ["/v26.0/1/agencies", "/v26.0/act_1", "/v26.0/me"])
async def test_only_get_requests_pass_to_an_edge(method: str, path: str) -> None:
    request = read_only_client().build_request("GET", path)
    request.method = method

    with pytest.raises(WriteRefused):
        await read_only_client().send(request)


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
async def test_other_origin_is_refused(url: str) -> None:
    """Fix host, scheme and port."""
    with pytest.raises(WriteRefused, match="host"):
        await read_only_client().get(url)


async def test_other_host_header_is_refused() -> None:
    with pytest.raises(WriteRefused, match="host"):
        await read_only_client().get("/v26.0/me", headers={"Host": "evil.example"})


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
async def test_method_and_token_parameters_are_refused(path: str) -> None:
    """Refuse `method`, which Graph takes as a verb, and tokens outside `debug_token`."""
    with pytest.raises(WriteRefused):
        await read_only_client().get(path)


@pytest.mark.parametrize("name", ["X-HTTP-Method-Override", "x-http-method", "X-Method-Override"])
async def test_method_override_headers_are_refused(name: str) -> None:
    with pytest.raises(WriteRefused):
        await read_only_client().get("/v26.0/me", headers={name: "DELETE"})


async def test_reads_inspections_and_batches_of_reads_pass() -> None:
    http = read_only_client()

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
async def test_batch_with_one_bad_operation_is_refused(operation: object) -> None:
    """Send nothing unless every operation is a plain GET."""
    with pytest.raises(WriteRefused):
        await read_only_client().post("/v26.0/", data=batch(READ, operation))


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
async def test_post_that_is_no_plain_batch_is_refused(form: dict[str, str]) -> None:
    """Allow only the fields of a batch, each once."""
    with pytest.raises(WriteRefused):
        await read_only_client().post("/v26.0/", data=form)


@pytest.mark.parametrize("root", ["/v26.0/me", "/v26.0/?method=delete", "/v26/", "/x/v26.0/"])
async def test_batch_to_other_path_is_refused(root: str) -> None:
    with pytest.raises(WriteRefused):
        await read_only_client().post(root, data=batch(READ))


async def test_batch_in_other_encoding_is_refused() -> None:
    """Refuse JSON and multipart bodies, which the transport does not read."""
    with pytest.raises(WriteRefused):
        await read_only_client().post("/v26.0/", json=batch(READ))
    with pytest.raises(WriteRefused):
        await read_only_client().post("/v26.0/", data=batch(READ), files={"f": b"x"})


async def test_base_url_can_have_a_path() -> None:
    """Apply the same rules behind a gateway."""
    http = read_only_client("https://gateway.example/meta")

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
def test_unsafe_base_url_is_refused(base_url: str) -> None:
    """Allow TLS, or this machine."""
    with pytest.raises(ValueError, match=r"https|base URL"):
        open_http_client(base_url)


async def test_http_client_ignores_proxies_of_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set time limits and redirects explicitly."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("ALL_PROXY", "http://proxy.example:3128")

    async with open_http_client() as http:
        assert not http.trust_env
        assert not http.follow_redirects
        assert http._mounts == {}
        assert http.timeout == httpx.Timeout(connect=5.0, read=30.0, write=10.0, pool=30.0)


def test_http_libraries_log_no_urls() -> None:
    """Keep URLs out of logs even if levels are lowered later."""
    open_http_client()

    for name in ("httpx", "httpcore", "httpcore.http11", "httpcore.connection"):
        assert logging.getLogger(name).getEffectiveLevel() == logging.WARNING


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def served_by(handler: Handler, **options: float) -> AsyncIterator[GraphClient]:
    """Yield a client of a real socket server on this machine."""
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
        """Do not wait between attempts."""

    async with server, open_http_client(f"http://127.0.0.1:{port}", **options) as http:  # type: ignore[arg-type]
        yield GraphClient(http, app_id="1", sleep=no_sleep)
    await asyncio.gather(*connections)


async def test_silent_server_times_out() -> None:
    """Check the read time limit on a real socket."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with served_by(silent, read_timeout=0.05) as client:
        with pytest.raises(Unreachable, match="ReadTimeout"):
            await client.reader("T").get(edges.me())


async def test_reset_connection_is_unreachable() -> None:
    async def resetting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")

    async with served_by(resetting) as client:
        with pytest.raises(Unreachable, match="RemoteProtocolError"):
            await client.reader("T").get(edges.me())


async def test_redirects_and_cookies_are_ignored() -> None:
    """Treat a redirect as an error, and never send one partner's cookie again."""
    request_heads: list[bytes] = []

    async def redirecting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await _head(reader):
            request_heads.append(head.lower())
            writer.write(
                b"HTTP/1.1 302 Found\r\nSet-Cookie: a=b; Path=/\r\nLocation: /v26.0/other\r\n"
                b"Content-Length: 0\r\n\r\n"
            )

    async with served_by(redirecting) as client:
        for token in ("OURS", "THEIRS"):
            with pytest.raises(UnknownGraphError):
                await client.reader(token).get(edges.me())

    assert [b"/v26.0/me" in head for head in request_heads] == [True, True]
    assert not any(b"cookie" in head for head in request_heads)


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""
