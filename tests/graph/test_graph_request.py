"""Single requests: the token's place, retries and raised errors."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from partner_connector.graph import (
    AppsecretProofMode,
    GraphClient,
    InvalidRequest,
    Read,
    Temporary,
    Throttled,
    TokenDead,
    TooMuchData,
    UnknownGraphError,
    Unreachable,
    edges,
)

from .meta import BASE_URL, TOKEN, Meta, error, reply


async def test_read_sends_token_in_header_only() -> None:
    meta = Meta(reply({"id": "1", "name": "Us"}))

    body = await meta.reader().get(edges.me())

    assert body == {"id": "1", "name": "Us"}
    assert meta.urls == ["https://graph.facebook.com/v26.0/me?fields=id%2Cname"]
    assert meta.requests[0].headers["authorization"] == f"Bearer {TOKEN}"


async def test_concurrent_readers_keep_their_own_tokens() -> None:
    meta = Meta(reply({}))
    client = meta.client()
    ours, theirs = client.reader("OURS"), client.reader("THEIRS")

    await asyncio.gather(*(reader.get(edges.me()) for reader in (ours, theirs) * 5))

    sent = [request.headers["authorization"] for request in meta.requests]
    assert sorted(sent) == ["Bearer OURS"] * 5 + ["Bearer THEIRS"] * 5
    assert (ours.meter.calls, theirs.meter.calls) == (5, 5)


@pytest.mark.parametrize(
    "failure",
    [
        httpx.ConnectError("no route"),
        httpx.ConnectTimeout("slow"),
        httpx.ReadTimeout("slow"),
        httpx.WriteTimeout("slow"),
        httpx.PoolTimeout("busy"),
        httpx.ReadError("reset"),
        httpx.RemoteProtocolError("garbage"),
        httpx.DecodingError("bad gzip"),
        httpx.Response(503, content=b""),
        httpx.Response(502, content=b"<html>Bad gateway</html>"),
        httpx.Response(200, content=b"Service Unavailable"),
    ],
    ids=repr,
)
async def test_unreachable_api_is_tried_three_times(failure: Exception | httpx.Response) -> None:
    """Raise after two repeats with short waits."""
    meta = Meta(failure)
    reader = meta.reader()

    with pytest.raises(Unreachable) as caught:
        await reader.get(edges.me())

    assert meta.sleeps == [0.5, 1.5]
    assert reader.meter.calls == 3
    assert caught.value.transient


async def test_temporary_error_is_hidden_when_repeat_succeeds() -> None:
    meta = Meta(error(2, is_transient=True, status=503), reply({"id": "1"}))
    reader = meta.reader()

    assert await reader.get(edges.me()) == {"id": "1"}
    assert (reader.meter.calls, reader.meter.counted_calls) == (2, 2)


async def test_lasting_temporary_error_is_raised_after_three_attempts() -> None:
    meta = Meta(error(2, status=500))

    with pytest.raises(Temporary):
        await meta.reader().get(edges.me())

    assert len(meta.requests) == 3


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (error(190, error_subcode=463), TokenDead),
        (error(4, "(#4) Application request limit reached", 403, is_transient=True), Throttled),
        (error(100, "The ids query parameter is deprecated in v26.0+.", 500), InvalidRequest),
        (error(123456), UnknownGraphError),
        (
            httpx.Response(302, headers={"location": "https://elsewhere.example/"}),
            UnknownGraphError,
        ),
    ],
)
async def test_error_that_cannot_pass_is_raised_at_once(
    answer: httpx.Response, kind: type[Exception]
) -> None:
    """Send one request for dead tokens, throttling, invalid requests and redirects."""
    meta = Meta(answer)

    with pytest.raises(kind):
        await meta.reader().get(edges.me())

    assert len(meta.requests) == 1
    assert meta.sleeps == []


async def test_read_with_too_much_data_is_repeated_once() -> None:
    """Repeat the read unchanged, which often helps (`docs/reference/graph-facts.md#paging`)."""
    meta = Meta(error(1, "Please reduce the amount of data you're asking for", 500))

    with pytest.raises(TooMuchData):
        await meta.reader().get(edges.me())

    assert len(meta.requests) == 2


async def test_attempt_has_a_deadline() -> None:
    """Give up a response that never ends, though no single read times out."""

    class Dripping(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            await asyncio.sleep(60)
            raise AssertionError

    async def no_sleep(seconds: float) -> None:
        """Do not wait between attempts."""

    async with httpx.AsyncClient(base_url=BASE_URL, transport=Dripping()) as http:
        client = GraphClient(http, app_id="1", deadline=0.01, sleep=no_sleep)
        with pytest.raises(Unreachable, match="TimeoutError"):
            await client.reader("T").get(edges.me())


async def test_concurrency_is_limited_over_all_readers() -> None:
    under_way, most = 0, 0

    class Counting(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0.001)
            under_way -= 1
            return reply({})

    async with httpx.AsyncClient(base_url=BASE_URL, transport=Counting()) as http:
        client = GraphClient(http, app_id="1", concurrency=3)
        await asyncio.gather(*(client.reader(f"T{n}").get(edges.me()) for n in range(12)))

    assert most == 3


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "EAA\u00e9", "tab\t"])
async def test_token_that_fits_no_header_is_refused(token: str) -> None:
    """Raise `TokenDead` without the token's text."""
    with pytest.raises(TokenDead) as caught:
        Meta(reply({})).reader(token)

    assert not token or token not in str(caught.value)


@pytest.mark.parametrize("content", [["a", "list"], [], [{}]])
async def test_list_is_no_valid_answer_to_a_read(content: object) -> None:
    with pytest.raises(UnknownGraphError):
        await Meta(reply(content)).reader().get(edges.me())


def test_appsecret_proof_requires_the_secret() -> None:
    with pytest.raises(ValueError, match="secret"):
        Meta(reply({})).client(appsecret_proof=AppsecretProofMode.TIMED)


async def test_nested_links_are_hidden_but_kept_as_present() -> None:
    """Keep every URL of the server out of the body, at any depth."""
    link = f"https://graph.facebook.com/v26.0/1/agencies?access_token={TOKEN}"
    paging = {"cursors": {"after": "A"}, "next": link, "previous": link}
    body = {"data": [{"id": "1", "agencies": {"data": [{}], "paging": paging}}], "paging": paging}

    answer = await Meta(reply(body)).reader().get(Read("1/owned_pixels"))

    assert TOKEN not in repr(answer)
    assert answer["data"][0]["agencies"]["paging"]["next"] == "hidden"


async def test_endless_response_is_cut_off() -> None:
    """Read the response up to a limit, and ask for less data."""
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield b" " * 1_048_576

    meta = Meta(lambda _request: httpx.Response(200, content=endless()))

    with pytest.raises(TooMuchData, match="larger than 64 MiB"):
        await meta.reader().get(edges.me())
    assert sent <= 2 * 66, "asked twice, and each time only up to the limit"
