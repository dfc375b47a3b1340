"""The shape of every error answer."""

from typing import Any

import httpx

from partner_connector.errors import catalogue

KNOWN_CODES = {kind.code for kind in catalogue()}


def assert_problem(answer: httpx.Response, status: int, code: str | None = None) -> dict[str, Any]:
    """Assert that the answer is a complete problem document with this status, and return it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].split(";")[0] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert set(problem) >= {"type", "title", "status", "detail", "instance", "code", "request_id"}
    assert problem["status"] == status
    assert problem["type"] == f"/v1/problems#{problem['code']}"
    assert problem["code"] in KNOWN_CODES
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert problem["instance"] == f"urn:request:{problem['request_id']}"
    assert problem["title"]
    assert problem["detail"]
    assert None not in problem.values()
    if code is not None:
        assert problem["code"] == code
    return problem
