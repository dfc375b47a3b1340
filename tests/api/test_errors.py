"""Every error is an `application/problem+json` document, whichever layer produces it."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest

from tests.api.conftest import SharedApi
from tests.api.problems import assert_problem
from tests.api.surface import DOCUMENT, OPERATIONS, TOKEN, Operation, credential

# These requests are refused before the database is read: one database kind is enough.
pytestmark = pytest.mark.asyncio(loop_scope="session")

MISSING_PARTNER = "/v1/partners/ptn_01k9z3v0e8fjt9m2c4r6w8xabc"
INTEGRATION = {"name": "Acme", "meta_business_id": "1", "access_token": TOKEN}
WITH_BODY = [operation for operation in OPERATIONS if operation.body is not None]


@pytest.fixture
def api(shared_api: SharedApi) -> httpx.AsyncClient:
    """A client of the API that runs for the whole test session."""
    return shared_api.client


@pytest.fixture
def ids(shared_api: SharedApi) -> Mapping[str, str]:
    """Ids of existing rows."""
    return shared_api.ids


@pytest.mark.parametrize(
    ("method", "path", "request_parts", "status", "code"),
    [
        pytest.param("GET", "/nothing", {}, 404, "not_found", id="unknown path"),
        pytest.param("GET", "/v1", {}, 404, "not_found", id="version only"),
        pytest.param("GET", "/v1/partners/", {}, 404, "not_found", id="trailing slash"),
        pytest.param(
            "DELETE", "/v1/integrations", {}, 405, "method_not_allowed", id="method not allowed"
        ),
        pytest.param("POST", "/livez", {}, 405, "method_not_allowed", id="method without key"),
        pytest.param("GET", MISSING_PARTNER, {}, 404, "not_found", id="missing id"),
        pytest.param(
            "POST",
            "/v1/integrations",
            {"content": b"{"},
            400,
            "malformed_request",
            id="truncated JSON",
        ),
        pytest.param(
            "POST", "/v1/integrations", {"content": b""}, 422, "validation_failed", id="no body"
        ),
        pytest.param(
            "POST",
            "/v1/integrations",
            {"content": b'{"name":"\xff"}'},
            400,
            "malformed_request",
            id="not UTF-8",
        ),
        pytest.param(
            "POST",
            "/v1/integrations",
            {"content": b"[" * 60_000},
            400,
            "malformed_request",
            id="nested too deep",
        ),
        pytest.param(
            "POST",
            "/v1/integrations",
            {"content": b'{"safeguard_percent":' + b"9" * 6000 + b"}"},
            400,
            "malformed_request",
            id="a number of 6000 digits",
        ),
        pytest.param(
            "POST", "/v1/integrations", {"json": []}, 422, "validation_failed", id="not an object"
        ),
        pytest.param(
            "POST",
            "/v1/integrations",
            {"content": b'{"name":"\\ud800","meta_business_id":"1"}'},
            422,
            "validation_failed",
            id="lone surrogate",
        ),
        pytest.param(
            "GET",
            "/v1/partners",
            {"params": {"cursor": "bm90aGluZw"}},
            422,
            "cursor_invalid",
            id="bad cursor",
        ),
        pytest.param(
            "GET",
            "/v1/partners",
            {"params": {"page_size": "0"}},
            422,
            "validation_failed",
            id="page size 0",
        ),
        pytest.param(
            "GET",
            "/v1/partners",
            {"params": {"page_size": "101"}},
            422,
            "validation_failed",
            id="page size too large",
        ),
        pytest.param(
            "GET",
            "/v1/partners",
            {"params": {"sort": "user_count"}},
            422,
            "validation_failed",
            id="unknown sort",
        ),
        pytest.param(
            "GET",
            "/v1/partners/int_01k9z3v0e8fjt9m2c4r6w8xabc",
            {},
            422,
            "validation_failed",
            id="id of another kind",
        ),
        pytest.param(
            "GET",
            "/v1/partners",
            {"params": {"q": "a\x00b"}},
            422,
            "validation_failed",
            id="NUL in a search",
        ),
    ],
)
async def test_every_error_is_problem_document(
    api: httpx.AsyncClient,
    method: str,
    path: str,
    request_parts: dict[str, Any],
    status: int,
    code: str,
) -> None:
    """Check the status and the code of each kind of error."""
    headers = {"Content-Type": "application/json"} if "content" in request_parts else {}
    answer = await api.request(method, path, headers=headers, **request_parts)
    assert_problem(answer, status, code)


@pytest.mark.parametrize(
    "operation",
    [
        each
        for each in WITH_BODY
        if not DOCUMENT["paths"][each.path][each.method.lower()]["requestBody"].get("required")
    ],
    ids=lambda operation: operation.name,
)
async def test_null_is_refused_as_optional_body(
    api: httpx.AsyncClient, ids: Mapping[str, str], operation: Operation
) -> None:
    """Refuse `null`: an optional body is an object or absent."""
    answer = await api.request(
        operation.method,
        operation.url(ids),
        content=b" null",
        headers={"Content-Type": "application/json"},
    )
    assert_problem(answer, 422, "validation_failed")


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/integrations", {"GET", "POST"}),
        ("/v1/integrations/int_01k9z3v0e8fjt9m2c4r6w8xabc", {"GET", "PATCH", "DELETE"}),
        (f"{MISSING_PARTNER}/token", {"GET", "PUT", "DELETE"}),
        ("/v1/problems", {"GET"}),
        ("/v1/token-requests/current", {"GET"}),
    ],
)
async def test_405_names_every_method(api: httpx.AsyncClient, path: str, allowed: set[str]) -> None:
    """Check that `Allow` lists all methods of a path, not only those of one route."""
    answer = await api.request("TRACE", path)
    assert_problem(answer, 405, "method_not_allowed")
    assert {method.strip() for method in answer.headers["allow"].split(",")} - {"HEAD"} == allowed


@pytest.mark.parametrize("operation", WITH_BODY, ids=lambda operation: operation.name)
@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded"])
async def test_body_of_other_media_type_is_refused(
    api: httpx.AsyncClient, ids: Mapping[str, str], operation: Operation, media_type: str
) -> None:
    """Send a body that is not JSON to every operation with a body."""
    answer = await api.request(
        operation.method,
        operation.url(ids),
        content=b"access_token=x",
        headers={"Content-Type": media_type, **credential(operation, ids)},
    )
    assert_problem(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize("operation", WITH_BODY, ids=lambda operation: operation.name)
async def test_announced_body_over_limit_is_refused(
    api: httpx.AsyncClient, ids: Mapping[str, str], operation: Operation
) -> None:
    """Send a `Content-Length` of more than 64 KiB to every operation with a body."""
    answer = await api.request(
        operation.method,
        operation.url(ids),
        content=b'{"a":"' + b"x" * 65_536 + b'"}',
        headers={"Content-Type": "application/json"},
    )
    assert_problem(answer, 413, "body_too_large")


@pytest.mark.parametrize("operation", WITH_BODY, ids=lambda operation: operation.name)
async def test_streamed_body_over_limit_is_refused(
    api: httpx.AsyncClient, ids: Mapping[str, str], operation: Operation
) -> None:
    """Stream more than 64 KiB without a length to every operation with a body."""

    async def endless() -> AsyncIterator[bytes]:
        yield b'{"a":"'
        for _ in range(70):
            yield b"x" * 1024

    answer = await api.request(
        operation.method,
        operation.url(ids),
        content=endless(),
        headers={"Content-Type": "application/json"},
    )
    assert_problem(answer, 413, "body_too_large")


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({"meta_business_id": "1", "access_token": TOKEN}, "/name", "missing"),
        ({**INTEGRATION, "name": 7}, "/name", "string_type"),
        ({**INTEGRATION, "meta_business_id": 123}, "/meta_business_id", "string_type"),
        (
            {**INTEGRATION, "safeguard_percent": 101},
            "/safeguard_percent",
            "less_than_equal",
        ),
        (
            {**INTEGRATION, "schedule": {"frequency": "hourly"}},
            "/schedule/frequency",
            "string_pattern_mismatch",
        ),
        ({**INTEGRATION, "surprise": 1}, "/(unknown member)", "extra_forbidden"),
        (
            {**INTEGRATION, "schedule": {"surprise": 1}},
            "/schedule/(unknown member)",
            "extra_forbidden",
        ),
    ],
)
async def test_422_names_invalid_member(
    api: httpx.AsyncClient, body: dict[str, Any], pointer: str, code: str
) -> None:
    """Check the pointer to a member that is missing, unknown or of the wrong type."""
    problem = assert_problem(await api.post("/v1/integrations", json=body), 422)
    assert [(e["pointer"], e["code"]) for e in problem["errors"]] == [(pointer, code)]


async def test_422_names_invalid_query_parameter(api: httpx.AsyncClient) -> None:
    problem = assert_problem(await api.get("/v1/partners", params={"page_size": "many"}), 422)
    assert [e["pointer"] for e in problem["errors"]] == ["query/page_size"]


@pytest.mark.parametrize(
    ("method", "path", "request_parts"),
    [
        ("GET", "/v1/sync-jobs", {"params": {"created_after": "2026-11-01T00:00:00"}}),
        ("GET", "/v1/sync-jobs", {"params": {"created_after": "0001-01-01T00:00:00+23:00"}}),
        ("GET", "/v1/sync-jobs", {"params": {"created_after": "9999-12-31T23:00:00-23:00"}}),
        (
            "POST",
            "/v1/api-keys",
            {"json": {"name": "a", "scopes": ["users:read"], "expires_at": "2099-01-01T00:00:00"}},
        ),
        (
            "POST",
            "/v1/api-keys",
            {
                "json": {
                    "name": "a",
                    "scopes": ["users:read"],
                    "expires_at": "9999-12-31T23:00:00-23:00",
                }
            },
        ),
    ],
)
async def test_invalid_instant_is_refused(
    api: httpx.AsyncClient, method: str, path: str, request_parts: dict[str, Any]
) -> None:
    """Refuse a time without an offset, or outside the calendar after conversion to UTC."""
    assert_problem(await api.request(method, path, **request_parts), 422)


@pytest.mark.parametrize(
    "prefer", ["return=minimal", 'handling="strict"; x=1.5', "respond-async", "wait=abc"]
)
async def test_unknown_preference_is_ignored(
    api: httpx.AsyncClient, ids: Mapping[str, str], prefer: str
) -> None:
    """Send an unknown preference; RFC 7240 requires the server to ignore it."""
    answer = await api.post(f"/v1/integrations/{ids['int']}/sync-jobs", headers={"Prefer": prefer})
    assert answer.status_code == 202, answer.text
    assert "preference-applied" not in answer.headers
