"""The page at `/docs`: self-contained, with a content security policy that allows nothing else."""

import re
import threading

import pytest
from fastapi import FastAPI

from partner_connector.api.app import create_app
from partner_connector.api.openapi import openapi_document
from partner_connector.sealing import keyring as keyring_file
from partner_connector.sealing.public import PublicKeyring
from partner_connector.settings import without_environment
from tests.api.conftest import SharedApi
from tests.support.clients import client_of

ON_SHARED_LOOP = pytest.mark.asyncio(loop_scope="session")


@ON_SHARED_LOOP
async def test_docs_page_needs_no_other_host(shared_api: SharedApi) -> None:
    """Expect inline script and style, allowed by their hashes, and calls to this API only."""
    answer = await shared_api.client.get("/docs", headers={"Authorization": ""})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'; script-src 'sha256-" in policy
    assert "connect-src 'self'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"https?://|//[a-z]|\ssrc=|\shref=|\son[a-z]+=|\sstyle=", answer.text)


@ON_SHARED_LOOP
async def test_docs_page_writes_no_html_and_stores_no_key(shared_api: SharedApi) -> None:
    """Search the page for calls that parse HTML and for browser storage."""
    page = (await shared_api.client.get("/docs")).text
    for call in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval("):
        assert call not in page
    for storage in ("localStorage", "sessionStorage", "cookie", "indexedDB"):
        assert storage not in page


@ON_SHARED_LOOP
async def test_docs_page_fetches_the_document_by_a_relative_url(shared_api: SharedApi) -> None:
    """Expect a relative URL, which also works below a path prefix."""
    assert 'fetch("openapi.json"' in (await shared_api.client.get("/docs")).text
    document = await shared_api.client.get("/openapi.json", headers={"Authorization": ""})
    assert document.json()["openapi"] == "3.1.0"


def another_app() -> FastAPI:
    """Create an API that is not started; requests without a database work."""
    return create_app(without_environment(), PublicKeyring(keyring_file.generate()))


def test_document_is_built_at_first_use_once_a_process() -> None:
    """Create two apps: neither builds the document, and both share one."""
    openapi_document.cache_clear()
    apps = [another_app(), another_app()]
    assert openapi_document.cache_info().currsize == 0
    assert apps[0].openapi() is apps[1].openapi()
    assert openapi_document.cache_info().misses == 1


async def test_document_is_built_outside_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Expect another thread, so that the loop can answer other requests."""
    app = another_app()
    monkeypatch.setattr(app, "openapi", lambda: {"thread": threading.get_ident()})
    async with client_of(app, None) as client:
        built_in = (await client.get("/openapi.json")).json()["thread"]
    assert built_in != threading.get_ident()


async def test_wrong_method_builds_no_document() -> None:
    """Expect 405 with the path's methods, without the cost of the document."""
    app = another_app()
    openapi_document.cache_clear()
    async with client_of(app, None) as client:
        assert (await client.request("TRACE", "/v1/partners")).status_code == 405
    assert openapi_document.cache_info().currsize == 0
