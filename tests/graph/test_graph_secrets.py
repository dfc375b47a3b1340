"""Where a token may never appear: URLs, texts, tracebacks, logs, reprs, pickles."""

import copy
import json
import logging
import pickle
import traceback
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from partner_connector.graph import GraphClient, GraphError, answer_to, edges, open_http_client
from partner_connector.graph.redact import redact

from .meta import APP_SECRET, TOKEN, Meta, error, reply

INPUT = "EAAinputCANARYinputCANARYinputCANARY987"
SHORT = "tok-7"
CANARIES = (TOKEN, INPUT, APP_SECRET, SHORT)


def told(request: httpx.Request) -> str:
    """All that was sent, and tokens that were not, as an indiscreet server would repeat it."""
    sent = f"{request.headers.get('authorization')} {dict(request.url.params)}"
    form = dict(httpx.QueryParams(request.content.decode()))
    return (
        f"Malformed access token {INPUT}, {sent}, {form.get('access_token')}, {request.url}, "
        f"{quote(INPUT)}, https://graph.facebook.com/me?a={TOKEN}, 12345|{APP_SECRET}"
    )


def gossip(request: httpx.Request) -> httpx.Response:
    return error(190, told(request), fbtrace_id=TOKEN, type=TOKEN, error_user_msg=TOKEN)


def html(request: httpx.Request) -> httpx.Response:
    return httpx.Response(500, text=f"<html>{told(request)}</html>")


def unconnected(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError(told(request), request=request)


def timed_out(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout(told(request), request=request)


def odd_list(request: httpx.Request) -> httpx.Response:
    return reply([told(request)])


def odd_batch(request: httpx.Request) -> httpx.Response:
    body = {"error": {"code": 100, "message": told(request)}}
    return reply([{"code": 400, "body": json.dumps(body)}])


@pytest.mark.parametrize("answer", [gossip, html, unconnected, timed_out, odd_list, odd_batch])
@pytest.mark.parametrize("call", ["get", "rows", "batch", "debug_token", "debug_self"])
@pytest.mark.parametrize("token", [TOKEN, SHORT])
async def test_no_failure_tells_a_token(
    answer: Any, call: str, token: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever fails, no text, traceback, chained exception or log line holds a secret."""
    caplog.set_level(logging.DEBUG)
    async with open_http_client(transport=httpx.MockTransport(answer)) as http:
        caplog.set_level(logging.DEBUG, logger="httpx")
        failure = await failure_of(http, call, token)

    assert failure is None or isinstance(failure, GraphError)
    texts = [caplog.text, *(str(vars(record)) for record in caplog.records)]
    if failure is not None:
        texts += [str(failure), repr(failure), str(vars(failure)), str(failure.args)]
        texts += traceback.format_exception(failure)
        texts += [pickle.dumps(failure).decode("latin-1")]
        assert failure.__cause__ is None
        assert failure.__context__ is None
    assert not leaks(texts)


async def failure_of(http: httpx.AsyncClient, call: str, token: str) -> Exception | None:
    """What the call raises or returns as an error."""

    async def no_sleep(seconds: float) -> None:
        """Stand in for the waits between attempts."""

    secret = None if call == "debug_self" else APP_SECRET
    client = GraphClient(http, app_id="12345", app_secret=secret, sleep=no_sleep)
    reader = client.reader(token)
    try:
        match call:
            case "get":
                await reader.get(edges.me())
            case "rows":
                await reader.rows(edges.agencies("1"))
            case "batch":
                (outcome,) = await reader.batch([answer_to(edges.me())])
                return outcome if isinstance(outcome, GraphError) else None
            case _:
                await client.debug_token(token)
    except GraphError as failure:
        return failure
    return None


def leaks(texts: list[str]) -> list[str]:
    """The canaries that are found in any of these texts."""
    return [canary for canary in CANARIES if any(canary in text for text in texts)]


async def test_the_filter_on_the_http_library_stays_when_levels_are_lowered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A good inspection logs no URL though the library's logger was set to DEBUG afterwards."""
    answer = httpx.MockTransport(lambda request: reply({"data": {"is_valid": True}}))
    async with open_http_client(transport=answer) as http:
        caplog.set_level(logging.DEBUG)
        caplog.set_level(logging.DEBUG, logger="httpx")
        await GraphClient(http, app_id="1").debug_token(TOKEN)

    assert not leaks([caplog.text])
    assert "https://" not in caplog.text


def test_objects_print_as_stars_and_are_not_stored() -> None:
    """Neither repr, nor format, nor pickle, nor copy of a reader gives its token away."""
    client = Meta(reply({})).client(app_secret=APP_SECRET)
    reader = client.reader(TOKEN)

    assert repr(reader) == "GraphReader(token=****)"
    assert not leaks([repr(client), str(vars(reader)), f"{reader}", repr(reader.credentials)])
    for store in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError):
            store(reader)


async def test_only_debug_token_has_a_token_in_its_url() -> None:
    """Over every declared read and a batch of them all, no URL holds a token."""
    meta = Meta(*[reply({"data": []})] * 4, reply({"data": {}}))
    reader = meta.reader(app_secret=APP_SECRET)

    for read in (edges.me(), edges.agencies("1"), edges.my_accounts(), edges.token_app()):
        await reader.get(read)
    await meta.client(app_secret=APP_SECRET).debug_token(INPUT)

    assert leaks(meta.urls[:-1]) == []
    assert leaks(meta.urls[-1:]) == [INPUT]
    assert all("access_token" not in httpx.URL(url).params for url in meta.urls)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("Session has expired on Tuesday", "Session has expired on Tuesday"),
        ("(#200) Requires business_management permission", None),
        ("see https://x.example/a?b=c now", "see **** now"),
        ("see HTTPS://X.example now", "see **** now"),
        ("graph.facebook.com/v26.0/me?x failed", "**** failed"),
        ("access_token=abc&x=1", "****&x=1"),
        ("appsecret_proof=abc", "****"),
        ("token 2965389650414399|s3cret given", "token **** given"),
        ("token EAAbcdefghijklmnop given", "token **** given"),
        (f"token {'x' * 40} given", "token **** given"),
        ("a hush word", "a **** word"),
        ("", ""),
    ],
)
def test_texts_lose_what_looks_like_a_secret(text: str, clean: str | None) -> None:
    """Addresses, tokens and long opaque runs go; Meta's ordinary sentences stay."""
    assert redact(text, ["hush"]) == (text if clean is None else clean)


def test_a_secret_is_found_in_its_url_form() -> None:
    """A token with a bar or a space is written otherwise in a URL."""
    assert redact("asked with 1%7Cx%20y and 1|x y", ["1|x y"]) == "asked with **** and ****"


def test_texts_are_short() -> None:
    """An answer cannot flood a log."""
    assert len(redact("word " * 1000)) == 500


async def test_an_error_still_says_what_happened() -> None:
    """Hiding secrets does not hide the message."""
    meta = Meta(error(200, "(#200) Requires business_management permission", 403))

    with pytest.raises(GraphError) as caught:
        await meta.reader().get(edges.me())

    assert str(caught.value) == (
        "(#200) Requires business_management permission [code 200, HTTP 403, trace Atrace]"
    )
