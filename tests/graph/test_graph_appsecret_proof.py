"""The three modes of `appsecret_proof`: off, plain and timed."""

import hashlib
import hmac
from typing import Any

import pytest

from partner_connector.graph import AppsecretProofMode, answer_to, edges

from .meta import APP_SECRET, TOKEN, Meta, error, reply

PAGE_ONE = {"data": [], "paging": {"cursors": {"after": "A"}, "next": "https://x.example/"}}


def expected_appsecret_proof(message: str) -> str:
    return hmac.new(APP_SECRET.encode(), message.encode(), hashlib.sha256).hexdigest()


def options(mode: AppsecretProofMode, meta: Meta) -> dict[str, Any]:
    """Return options with a secret, and with a clock that moves one second for each request."""
    return {
        "app_secret": APP_SECRET,
        "appsecret_proof": mode,
        "clock": lambda: 1000.7 + len(meta.requests),
    }


async def test_mode_off_sends_no_appsecret_proof() -> None:
    """Send none even when the secret is known."""
    meta = Meta(reply({}))

    await meta.reader(**options(AppsecretProofMode.OFF, meta)).get(edges.me())

    assert "appsecret" not in meta.urls[0]


async def test_mode_plain_sends_appsecret_proof_with_every_page() -> None:
    meta = Meta(reply(PAGE_ONE), reply({"data": []}))

    await meta.reader(**options(AppsecretProofMode.PLAIN, meta)).rows(edges.agencies("1"))

    for request in meta.requests:
        assert request.url.params.get_list("appsecret_proof") == [expected_appsecret_proof(TOKEN)]
        assert "appsecret_time" not in request.url.params


async def test_mode_timed_computes_appsecret_proof_for_each_attempt() -> None:
    """Compute the value again for each request: each is valid for five minutes
    (`docs/reference/graph-facts.md#appsecret-proof`).
    """
    meta = Meta(reply(PAGE_ONE), error(2), reply({"data": []}))

    await meta.reader(**options(AppsecretProofMode.TIMED, meta)).rows(edges.agencies("1"))

    sent = [dict(request.url.params) for request in meta.requests]
    assert [each["appsecret_time"] for each in sent] == ["1000", "1001", "1002"]
    assert [each["appsecret_proof"] for each in sent] == [
        expected_appsecret_proof(f"{TOKEN}|{time}") for time in (1000, 1001, 1002)
    ]


@pytest.mark.parametrize("mode", list(AppsecretProofMode))
async def test_batch_sends_appsecret_proof_in_its_form(mode: AppsecretProofMode) -> None:
    """Send the value beside the batch's token, and in no operation."""
    meta = Meta(error(2), reply([{"code": 200, "body": "{}"}]))

    await meta.reader(**options(mode, meta)).batch([answer_to(edges.me())])

    extra = {
        AppsecretProofMode.OFF: {},
        AppsecretProofMode.PLAIN: {"appsecret_proof": expected_appsecret_proof(TOKEN)},
        AppsecretProofMode.TIMED: {
            "appsecret_proof": expected_appsecret_proof(f"{TOKEN}|1001"),
            "appsecret_time": "1001",
        },
    }[mode]
    assert {k: v for k, v in meta.form().items() if k.startswith("appsecret")} == extra
    assert "appsecret" not in meta.operations()[0]["relative_url"]


async def test_inspection_sends_appsecret_proof_of_asking_token() -> None:
    """Compute the value from the app's token, which sends `debug_token`."""
    meta = Meta(reply({"data": {}}))

    await meta.client(**options(AppsecretProofMode.PLAIN, meta)).debug_token(TOKEN)

    app_token = f"2965389650414399|{APP_SECRET}"
    assert meta.requests[0].headers["authorization"] == f"Bearer {app_token}"
    assert meta.requests[0].url.params["appsecret_proof"] == expected_appsecret_proof(app_token)
