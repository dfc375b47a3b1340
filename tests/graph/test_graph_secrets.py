"""Secrets never appear in URLs, texts, tracebacks, logs, reprs or pickles."""

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


def echoed_secrets(request: httpx.Request) -> str:
    """Return everything that was sent, and other secrets, as an indiscreet server repeats them."""
    sent = f"{request.headers.get('authorization')} {dict(request.url.params)}"
    form = dict(httpx.QueryParams(request.content.decode()))
    return (
        f"Malformed access token {INPUT}, {sent}, {form.get('access_token')}, {request.url}, "
        f"{quote(INPUT)}, https://graph.facebook.com/me?a={TOKEN}, 12345|{APP_SECRET}"
    )


def error_with_secrets(request: httpx.Request) -> httpx.Response:
    return error(190, echoed_secrets(request), fbtrace_id=TOKEN, type=TOKEN, error_user_msg=TOKEN)


def html_with_secrets(request: httpx.Request) -> httpx.Response:
    return httpx.Response(500, text=f"<html>{echoed_secrets(request)}</html>")


def connect_error(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError(echoed_secrets(request), request=request)


def timed_out(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout(echoed_secrets(request), request=request)


def list_with_secrets(request: httpx.Request) -> httpx.Response:
    return reply([echoed_secrets(request)])


def batch_with_secrets(request: httpx.Request) -> httpx.Response:
    body = {"error": {"code": 100, "message": echoed_secrets(request)}}
    return reply([{"code": 400, "body": json.dumps(body)}])


@pytest.mark.parametrize(
    "answer",
    [
        error_with_secrets,
        html_with_secrets,
        connect_error,
        timed_out,
        list_with_secrets,
        batch_with_secrets,
    ],
)
@pytest.mark.parametrize("call", ["get", "rows", "batch", "debug_token", "debug_self"])
@pytest.mark.parametrize("token", [TOKEN, SHORT])
async def test_failure_shows_no_secret(
    answer: Any, call: str, token: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Check the text, traceback, chained exceptions and log lines of each failure."""
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
    """Return the error that the call raises or returns."""

    async def no_sleep(seconds: float) -> None:
        """Do not wait between attempts."""

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
    """Return the secrets that are found in these texts."""
    return [canary for canary in CANARIES if any(canary in text for text in texts)]


async def test_http_library_logs_no_url_at_debug_level(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Keep the filter when the library's logger is set to DEBUG after the client is opened."""
    answer = httpx.MockTransport(lambda request: reply({"data": {"is_valid": True}}))
    async with open_http_client(transport=answer) as http:
        caplog.set_level(logging.DEBUG)
        caplog.set_level(logging.DEBUG, logger="httpx")
        await GraphClient(http, app_id="1").debug_token(TOKEN)

    assert not leaks([caplog.text])
    assert "https://" not in caplog.text


def test_reader_and_client_hide_token_and_are_not_pickled() -> None:
    client = Meta(reply({})).client(app_secret=APP_SECRET)
    reader = client.reader(TOKEN)

    assert repr(reader) == "GraphReader(token=****)"
    assert not leaks([repr(client), str(vars(reader)), f"{reader}", repr(reader.credentials)])
    for store in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError):
            store(reader)


async def test_only_debug_token_sends_a_token_in_url() -> None:
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
def test_redact_removes_texts_like_secrets(text: str, clean: str | None) -> None:
    """Remove addresses, tokens and long opaque strings, and keep Meta's ordinary sentences."""
    assert redact(text, ["hush"]) == (text if clean is None else clean)


def test_redact_finds_url_encoded_secret() -> None:
    assert redact("asked with 1%7Cx%20y and 1|x y", ["1|x y"]) == "asked with **** and ****"


def test_redact_limits_length() -> None:
    assert len(redact("word " * 1000)) == 500


async def test_error_keeps_its_message() -> None:
    meta = Meta(error(200, "(#200) Requires business_management permission", 403))

    with pytest.raises(GraphError) as caught:
        await meta.reader().get(edges.me())

    assert str(caught.value) == (
        "(#200) Requires business_management permission [code 200, HTTP 403, trace Atrace]"
    )
