"""The page `/connect`: self-contained, and protected by a strict content security policy."""

import base64
import hashlib
import re

import httpx
import pytest

from tests.api.conftest import SharedApi
from tests.api.surface import DOCUMENT

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def page(shared_api: SharedApi) -> httpx.Response:
    """Request the page as a browser does, without credentials."""
    answer = await shared_api.client.get("/connect", headers={"Authorization": ""})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return answer


async def test_policy_allows_only_own_script_and_style(shared_api: SharedApi) -> None:
    """Compare the hashes in the policy with the page's script and style."""
    answer = await page(shared_api)
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


async def test_page_loads_and_stores_nothing(shared_api: SharedApi) -> None:
    """Check that there is no URL, no inline handler, no HTML made from text and no storage."""
    text = (await page(shared_api)).text
    assert not re.search(r"https?://|//[a-z]|\ssrc=|\shref=|\son[a-z]+=|\sstyle=", text)
    for dangerous in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval("):
        assert dangerous not in text
    for storage in ("localStorage", "sessionStorage", "cookie", "indexedDB"):
        assert storage not in text


async def test_page_reads_members_of_the_contract(shared_api: SharedApi) -> None:
    """Compare the members that the script reads with the schema `CurrentTokenRequest`."""
    text = (await page(shared_api)).text
    members = DOCUMENT["components"]["schemas"]["CurrentTokenRequest"]["properties"]
    read = set(re.findall(r"\brequest\.([a-z_]+)", text))
    assert read == set(members) - {"sealing_key"}
    assert "`v1/token-requests/current${path}`" in text
    assert {'"/open"', '"/token"'} <= set(re.findall(r'"/[a-z]+"', text))
