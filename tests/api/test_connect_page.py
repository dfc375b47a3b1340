"""The page behind a link: inert, self-contained, and under a policy that lets nothing else in."""

import base64
import hashlib
import re

import httpx
import pytest

from tests.api.conftest import Standing
from tests.api.surface import DOCUMENT

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def page(standing: Standing) -> httpx.Response:
    """As a browser without anything asks for it."""
    answer = await standing.api.get("/connect", headers={"Authorization": ""})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return answer


async def test_only_its_own_script_may_run(standing: Standing) -> None:
    """Script and style are named by their hashes; all else is forbidden."""
    answer = await page(standing)
    policy = dict(
        part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["connect-src"] == "'self'"
    for tag in ("script", "style"):
        (content,) = re.findall(rf"<{tag}[^>]*>(.*?)</{tag}>", answer.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert policy[f"{tag}-src"] == f"'sha256-{digest}'"
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["referrer-policy"] == "no-referrer"


async def test_it_brings_nothing_along(standing: Standing) -> None:
    """No address of anybody, no handler in an attribute, no HTML that is made of text."""
    text = (await page(standing)).text
    assert not re.search(r"https?://|//[a-z]|\ssrc=|\shref=|\son[a-z]+=|\sstyle=", text)
    for dangerous in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval("):
        assert dangerous not in text
    for keeping in ("localStorage", "sessionStorage", "cookie", "indexedDB"):
        assert keeping not in text


async def test_it_asks_for_what_there_is(standing: Standing) -> None:
    """The members that its script reads are those of the contract."""
    text = (await page(standing)).text
    members = DOCUMENT["components"]["schemas"]["CurrentTokenRequest"]["properties"]
    read = set(re.findall(r"\brequest\.([a-z_]+)", text))
    assert read == set(members) - {"sealing_key"}
    assert "`v1/token-requests/current${path}`" in text
    assert {'"/open"', '"/token"'} <= set(re.findall(r'"/[a-z]+"', text))
