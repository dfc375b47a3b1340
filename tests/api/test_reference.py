"""The page at `/docs`: self-contained, and under a policy that lets nothing else in."""

import re
import threading

import pytest
from fastapi import FastAPI

from partner_connector.api.app import create_app
from partner_connector.api.openapi import openapi_document
from partner_connector.sealing import keyring as keyring_file
from partner_connector.sealing.public import PublicKeyring
from partner_connector.settings import without_environment
from tests.api.conftest import Standing
from tests.support.clients import client_of

ON_STANDING = pytest.mark.asyncio(loop_scope="session")


@ON_STANDING
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


@ON_STANDING
async def test_it_makes_no_html_of_text(standing: Standing) -> None:
    """What the document says stays text, and a key is kept nowhere."""
    page = (await standing.api.get("/docs")).text
    for dangerous in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval("):
        assert dangerous not in page
    for keeping in ("localStorage", "sessionStorage", "cookie", "indexedDB"):
        assert keeping not in page


@ON_STANDING
async def test_it_asks_for_the_document(standing: Standing) -> None:
    """Relative to itself, so that it works below a path too."""
    assert 'fetch("openapi.json"' in (await standing.api.get("/docs")).text
    document = await standing.api.get("/openapi.json", headers={"Authorization": ""})
    assert document.json()["openapi"] == "3.1.0"


def another_app() -> FastAPI:
    """An API that is not started: what needs no database works."""
    return create_app(without_environment(), PublicKeyring(keyring_file.generate()))


def test_document_is_built_at_first_use_once_a_process() -> None:
    """Making an app builds none, and all apps of a process share one."""
    openapi_document.cache_clear()
    apps = [another_app(), another_app()]
    assert openapi_document.cache_info().currsize == 0
    assert apps[0].openapi() is apps[1].openapi()
    assert openapi_document.cache_info().misses == 1


async def test_document_is_built_outside_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other requests are answered while the first one for it waits."""
    app = another_app()
    monkeypatch.setattr(app, "openapi", lambda: {"thread": threading.get_ident()})
    async with client_of(app, None) as client:
        built_in = (await client.get("/openapi.json")).json()["thread"]
    assert built_in != threading.get_ident()


async def test_wrong_method_builds_no_document() -> None:
    """A refusal that lists the methods of a path costs no document."""
    app = another_app()
    openapi_document.cache_clear()
    async with client_of(app, None) as client:
        assert (await client.request("TRACE", "/v1/partners")).status_code == 405
    assert openapi_document.cache_info().currsize == 0
