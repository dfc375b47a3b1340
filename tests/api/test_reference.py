"""The page at `/docs`: self-contained, and under a policy that lets nothing else in."""

import re

import pytest

from tests.api.conftest import Standing

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_it_needs_no_other_host(standing: Standing) -> None:
    """Script and style are in the page and named by their hashes; it may speak to us alone."""
    answer = await standing.api.get("/docs", headers={"Authorization": ""})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'; script-src 'sha256-" in policy
    assert "connect-src 'self'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"https?://|//[a-z]|\ssrc=|\shref=|\son[a-z]+=|\sstyle=", answer.text)


async def test_it_makes_no_html_of_text(standing: Standing) -> None:
    """What the document says stays text, and a key is kept nowhere."""
    page = (await standing.api.get("/docs")).text
    for dangerous in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval("):
        assert dangerous not in page
    for keeping in ("localStorage", "sessionStorage", "cookie", "indexedDB"):
        assert keeping not in page


async def test_it_asks_for_the_document(standing: Standing) -> None:
    """Relative to itself, so that it works below a path too."""
    assert 'fetch("openapi.json"' in (await standing.api.get("/docs")).text
    document = await standing.api.get("/openapi.json", headers={"Authorization": ""})
    assert document.json()["openapi"] == "3.1.0"
