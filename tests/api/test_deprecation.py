"""How an operation is taken out of use: nothing is yet, so a small app with an old way shows it."""

import io
import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from fastapi import FastAPI

from partner_connector.api.openapi import build_document
from partner_connector.web.dependencies import PartnersReader
from partner_connector.web.deprecation import Deprecation
from partner_connector.web.schemas import Answer
from tests.api.surface import DOCUMENT, OPERATIONS

SINCE = datetime(2027, 3, 1, tzinfo=UTC)
OLD_WAY = Deprecation(SINCE, datetime(2027, 9, 30, tzinfo=UTC), successor="/v1/partners")


class Old(Answer):
    """What the old way tells."""

    ok: bool


@pytest.fixture
async def app(app: FastAPI) -> FastAPI:
    """The API with one operation more, which is deprecated."""

    @app.get("/v1/allies", operation_id="listAllies", tags=["Partners"], **OLD_WAY.of_route())
    async def list_allies(_caller: PartnersReader) -> Old:
        """Partners, as they were called."""
        return Old(ok=True)

    return app


def assert_ends(answer: httpx.Response) -> None:
    """The answer tells since when, until when, and what to use."""
    assert answer.headers["deprecation"] == "@1803859200"
    assert answer.headers["sunset"] == "Thu, 30 Sep 2027 00:00:00 GMT"
    links = answer.headers["link"]
    assert '</v1/partners>; rel="successor-version"' in links
    assert '</docs>; rel="deprecation"' in links


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_every_answer_says_so(api: httpx.AsyncClient, logs: io.StringIO) -> None:
    """Successes and failures alike, and the log tells whose key still calls it."""
    answer = await api.get("/v1/allies")
    assert answer.status_code == 200
    assert_ends(answer)
    refused = await api.get("/v1/allies", headers={"Authorization": ""})
    assert refused.status_code == 401
    assert_ends(refused)
    lines = [json.loads(line) for line in logs.getvalue().splitlines() if "/v1/allies" in line]
    assert [line["deprecated"] for line in lines] == [True, True]
    assert lines[0]["api_key_id"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_document_says_so(app: FastAPI) -> None:
    """`deprecated`, the day of its end, and the headers."""
    operation = build_document(app)["paths"]["/v1/allies"]["get"]
    assert operation["deprecated"] is True
    assert operation["x-sunset"] == "2027-09-30"
    assert {"Deprecation", "Sunset", "Link"} <= set(operation["responses"]["200"]["headers"])


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_nothing_else_says_so(api: httpx.AsyncClient) -> None:
    """An operation that stays has none of it."""
    answer = await api.get("/v1/partners")
    assert {"deprecation", "sunset", "link"} & set(answer.headers) == set()


def test_nothing_is_deprecated_without_a_date() -> None:
    """Whatever the document calls deprecated has a day of its end."""
    for operation in OPERATIONS:
        told = DOCUMENT["paths"][operation.path][operation.method.lower()]
        assert ("x-sunset" in told) is told.get("deprecated", False), operation.name


def test_callers_have_time() -> None:
    """Less than 180 days of notice is refused."""
    with pytest.raises(ValueError, match="180 days"):
        Deprecation(SINCE, SINCE + timedelta(days=179), successor="/v1/partners")
