"""Headers of every answer."""

import httpx
import pytest

from tests.api.conftest import SharedApi
from tests.api.surface import OPERATIONS, call, credential
from tests.api.world import World

ON_SHARED_LOOP = pytest.mark.asyncio(loop_scope="session")
ONLY_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

SECURITY_HEADERS = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "strict-transport-security": "max-age=31536000; includeSubDomains",
}


def assert_security_headers(answer: httpx.Response) -> None:
    """Assert that the answer has the security headers and a request id."""
    found = {name: answer.headers.get(name) for name in SECURITY_HEADERS}
    assert found == SECURITY_HEADERS
    assert answer.headers["x-request-id"]
    assert "server" not in answer.headers


@ONLY_SQLITE
async def test_every_operation_returns_security_headers(
    api: httpx.AsyncClient, world: World
) -> None:
    # DELETE comes last: it removes rows that the other operations need.
    for operation in sorted(OPERATIONS, key=lambda each: each.method == "DELETE"):
        answer = await call(api, operation, world.ids)
        assert_security_headers(answer)


@ON_SHARED_LOOP
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/openapi.json", 200),
        ("GET", "/docs", 200),
        ("GET", "/nothing", 404),
        ("TRACE", "/v1/partners", 405),
        ("GET", "/v1/partners?page_size=x", 422),
    ],
)
async def test_documents_and_errors_have_security_headers(
    shared_api: SharedApi, method: str, path: str, status: int
) -> None:
    answer = await shared_api.client.request(method, path)
    assert answer.status_code == status
    assert_security_headers(answer)


@ON_SHARED_LOOP
@pytest.mark.parametrize("given", ["abcd1234", "A-b_c-123", "x" * 64])
async def test_valid_request_id_is_kept(shared_api: SharedApi, given: str) -> None:
    answer = await shared_api.client.get("/nothing", headers={"X-Request-Id": given})
    assert answer.headers["x-request-id"] == given
    assert answer.json()["request_id"] == given


@ON_SHARED_LOOP
@pytest.mark.parametrize(
    "given", ["", "short12", "x" * 65, "with space", "semi;colon12", "dots.are.not", "<script>12"]
)
async def test_invalid_request_id_is_replaced(shared_api: SharedApi, given: str) -> None:
    """Send ids that could break a log line or a page: the service makes its own id."""
    answer = await shared_api.client.get("/nothing", headers={"X-Request-Id": given})
    assert answer.headers["x-request-id"].startswith("req_")
    assert len(answer.headers["x-request-id"]) == 30


@ON_SHARED_LOOP
async def test_generated_request_ids_differ(shared_api: SharedApi) -> None:
    ids = {(await shared_api.client.get("/livez")).headers["x-request-id"] for _ in range(20)}
    assert len(ids) == 20


@ONLY_SQLITE
async def test_202_has_location_and_retry_after(api: httpx.AsyncClient, world: World) -> None:
    """Check every operation that answers 202: its `Location` can be read."""
    accepted = 0
    for operation in OPERATIONS:
        if operation.method not in {"POST", "PUT"}:
            continue
        answer = await call(api, operation, world.ids)
        if answer.status_code == 202:
            accepted += 1
            assert answer.headers["retry-after"].isdigit(), operation.name
            located = await api.get(
                answer.headers["location"], headers=credential(operation, world.ids)
            )
            assert located.status_code == 200, operation.name
    assert accepted >= 4
