"""appsecret_proof: off, plain and timed, on every request and fresh on each attempt."""

import hashlib
import hmac
from typing import Any

import pytest

from partner_connector.graph import ProofMode, answer_to, edges

from .meta import APP_SECRET, TOKEN, Meta, error, reply

PAGE_ONE = {"data": [], "paging": {"cursors": {"after": "A"}, "next": "https://x.example/"}}


def proof_of(message: str) -> str:
    return hmac.new(APP_SECRET.encode(), message.encode(), hashlib.sha256).hexdigest()


def options(mode: ProofMode, meta: Meta) -> dict[str, Any]:
    """A secret, and a clock that goes on by a second with each request."""
    return {
        "app_secret": APP_SECRET,
        "appsecret_proof": mode,
        "clock": lambda: 1000.7 + len(meta.requests),
    }


async def test_off_sends_nothing() -> None:
    """Knowing the secret alone sends no proof."""
    meta = Meta(reply({}))

    await meta.reader(**options(ProofMode.OFF, meta)).get(edges.me())

    assert "appsecret" not in meta.urls[0]


async def test_plain_is_on_every_page() -> None:
    """The second page has the proof as well, once."""
    meta = Meta(reply(PAGE_ONE), reply({"data": []}))

    await meta.reader(**options(ProofMode.PLAIN, meta)).rows(edges.agencies("1"))

    for request in meta.requests:
        assert request.url.params.get_list("appsecret_proof") == [proof_of(TOKEN)]
        assert "appsecret_time" not in request.url.params


async def test_timed_is_made_anew_for_each_page_and_each_attempt() -> None:
    """A proof lives five minutes, so a repeat makes its own (9 [D])."""
    meta = Meta(reply(PAGE_ONE), error(2), reply({"data": []}))

    await meta.reader(**options(ProofMode.TIMED, meta)).rows(edges.agencies("1"))

    sent = [dict(request.url.params) for request in meta.requests]
    assert [each["appsecret_time"] for each in sent] == ["1000", "1001", "1002"]
    assert [each["appsecret_proof"] for each in sent] == [
        proof_of(f"{TOKEN}|{time}") for time in (1000, 1001, 1002)
    ]


@pytest.mark.parametrize("mode", list(ProofMode))
async def test_a_batch_has_the_proof_in_its_form(mode: ProofMode) -> None:
    """The proof of a batch stands beside its token, and in no operation."""
    meta = Meta(error(2), reply([{"code": 200, "body": "{}"}]))

    await meta.reader(**options(mode, meta)).batch([answer_to(edges.me())])

    extra = {
        ProofMode.OFF: {},
        ProofMode.PLAIN: {"appsecret_proof": proof_of(TOKEN)},
        ProofMode.TIMED: {
            "appsecret_proof": proof_of(f"{TOKEN}|1001"),
            "appsecret_time": "1001",
        },
    }[mode]
    assert {k: v for k, v in meta.form().items() if k.startswith("appsecret")} == extra
    assert "appsecret" not in meta.operations()[0]["relative_url"]


async def test_an_inspection_proves_the_token_that_asks() -> None:
    """debug_token is asked with the app's token, so the proof is over that one."""
    meta = Meta(reply({"data": {}}))

    await meta.client(**options(ProofMode.PLAIN, meta)).debug_token(TOKEN)

    app_token = f"2965389650414399|{APP_SECRET}"
    assert meta.requests[0].headers["authorization"] == f"Bearer {app_token}"
    assert meta.requests[0].url.params["appsecret_proof"] == proof_of(app_token)
