"""What every answer carries, whatever it says."""

import httpx
import pytest

from tests.api.conftest import Standing
from tests.api.surface import OPERATIONS, call, credential
from tests.api.world import World

ON_STANDING = pytest.mark.asyncio(loop_scope="session")
ONLY_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

SECURITY_HEADERS = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "strict-transport-security": "max-age=31536000; includeSubDomains",
}


def assert_guarded(answer: httpx.Response) -> None:
    """The answer has the security headers and an id."""
    found = {name: answer.headers.get(name) for name in SECURITY_HEADERS}
    assert found == SECURITY_HEADERS
    assert answer.headers["x-request-id"]
    assert "server" not in answer.headers


@ONLY_SQLITE
async def test_every_operation_is_guarded(api: httpx.AsyncClient, world: World) -> None:
    """Every operation answers with the security headers."""
    # Deleting comes last: it takes away what the others are asked about.
    for operation in sorted(OPERATIONS, key=lambda each: each.method == "DELETE"):
        answer = await call(api, operation, world.ids)
        assert_guarded(answer)


@ON_STANDING
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
async def test_everything_else_is_guarded(
    standing: Standing, method: str, path: str, status: int
) -> None:
    """So do the documents and the failures."""
    answer = await standing.api.request(method, path)
    assert answer.status_code == status
    assert_guarded(answer)


@ON_STANDING
@pytest.mark.parametrize("given", ["abcd1234", "A-b_c-123", "x" * 64])
async def test_a_request_id_of_the_right_form_is_taken_over(standing: Standing, given: str) -> None:
    """A caller can name its request."""
    answer = await standing.api.get("/nothing", headers={"X-Request-Id": given})
    assert answer.headers["x-request-id"] == given
    assert answer.json()["request_id"] == given


@ON_STANDING
@pytest.mark.parametrize(
    "given", ["", "short12", "x" * 65, "with space", "semi;colon12", "dots.are.not", "<script>12"]
)
async def test_a_request_id_of_another_form_is_replaced(standing: Standing, given: str) -> None:
    """What could break a log line or a page is not repeated; the request gets an id of ours."""
    answer = await standing.api.get("/nothing", headers={"X-Request-Id": given})
    assert answer.headers["x-request-id"].startswith("req_")
    assert len(answer.headers["x-request-id"]) == 30


@ON_STANDING
async def test_ids_of_requests_differ(standing: Standing) -> None:
    """Two requests without an id get two."""
    ids = {(await standing.api.get("/livez")).headers["x-request-id"] for _ in range(20)}
    assert len(ids) == 20


@ONLY_SQLITE
async def test_an_accepted_request_says_where_to_look_and_when(
    api: httpx.AsyncClient, world: World
) -> None:
    """Every 202 carries `Location`, which can be read, and `Retry-After`."""
    seen = 0
    for operation in OPERATIONS:
        if operation.method not in {"POST", "PUT"}:
            continue
        answer = await call(api, operation, world.ids)
        if answer.status_code == 202:
            seen += 1
            assert answer.headers["retry-after"].isdigit(), operation.name
            there = await api.get(
                answer.headers["location"], headers=credential(operation, world.ids)
            )
            assert there.status_code == 200, operation.name
    assert seen >= 4
