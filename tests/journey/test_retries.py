"""Requests that are repeated, concurrent or whose response got lost: one effect."""

import json
import socket
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx
import pytest

from tests.journey.caller import Caller, first_with, wait_until
from tests.journey.meta import Json
from tests.journey.stacks import Stack

pytestmark = pytest.mark.by_day("separate")

AT_ONCE = 50
KEYED = [pytest.param(True, id="one key"), pytest.param(False, id="no key")]


def fifty(caller: Caller, method: str, path: str, body: Json, *, keyed: bool) -> list[Json]:
    """Send the same request fifty times at once, and return the responses."""
    headers = {"Idempotency-Key": str(uuid.uuid4())} if keyed else {}

    def ask(_number: int) -> httpx.Response:
        return caller.ask(method, path, json=body, headers=headers)

    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        answers = list(pool.map(ask, range(AT_ONCE)))
    assert {answer.status_code for answer in answers} == {202}, [a.text for a in answers][:3]
    replayed = sum("Idempotent-Replayed" in answer.headers for answer in answers)
    assert replayed == (AT_ONCE - 1 if keyed else 0)
    return [answer.json() for answer in answers]


@contextmanager
def slow_meta(caller: Caller) -> Iterator[None]:
    """Delay Meta so that the work of the first request is unfinished when the last one arrives."""
    caller.meta.latency(1.5)
    try:
        yield
    finally:
        caller.meta.latency(0.0)


def handed_over(caller: Caller, partner: Json) -> int:
    """Count the tokens of this partner that are recorded as received."""
    events = caller.everything("/v1/audit-events", page_size=100)
    of_partner = [event for event in events if event["subject"] == partner["id"]]
    return sum(event["action"] == "token.handed_over" for event in of_partner)


@pytest.mark.parametrize("keyed", KEYED)
def test_fifty_concurrent_connects_make_one_token(caller: Caller, keyed: bool) -> None:
    """Assert one token, one validation and one check for updates."""
    _, partners = caller.discover()
    partner = first_with(partners, "both")
    path = f"/v1/partners/{partner['id']}/token"
    body = {"access_token": caller.meta.token(partner["meta_business_id"])}
    with slow_meta(caller):
        answers = fifty(caller, "PUT", path, body, keyed=keyed)
    assert len({answer["id"] for answer in answers}) == 1
    validation = caller.wait_for_validation(f"/v1/token-validations/{answers[0]['id']}")
    assert validation["verdict"] == "connectable"
    caller.settle(partner)
    assert caller.get(path)["version"] == 1
    assert handed_over(caller, partner) == 1
    (job,) = caller.everything("/v1/sync-jobs", partner_id=partner["id"])
    assert (job["trigger"], job["status"]) == ("connect", "completed")


@pytest.mark.parametrize("keyed", KEYED)
def test_fifty_concurrent_check_requests_make_one_job(caller: Caller, keyed: bool) -> None:
    """Assert that all responses have the same job."""
    _, partners = caller.discover()
    partner = caller.connected(first_with(partners, "agency"))
    before = caller.everything("/v1/sync-jobs", partner_id=partner["id"])
    path = f"/v1/partners/{partner['id']}/sync-jobs"
    with slow_meta(caller):
        answers = fifty(caller, "POST", path, {}, keyed=keyed)
    (job_id,) = {answer["id"] for answer in answers}
    assert caller.ended({"id": job_id})["status"] == "completed"
    after = caller.everything("/v1/sync-jobs", partner_id=partner["id"])
    assert {job["id"] for job in after} == {job["id"] for job in before} | {job_id}


def send_and_hang_up(stack: Stack, caller: Caller, method: str, path: str, parts: Json) -> None:
    """Send the whole request, and close the connection before the response."""
    url = urlsplit(stack.api.url)
    assert url.hostname is not None
    body = json.dumps(parts["json"]).encode()
    lines = [
        f"{method} {path} HTTP/1.1",
        f"Host: {url.netloc}",
        f"Authorization: Bearer {caller.api_key}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in parts["headers"].items()),
    ]
    with socket.create_connection((url.hostname, url.port or 80), timeout=10) as line:
        line.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


def test_lost_response_is_repeated_for_the_same_key(stack: Stack, caller: Caller) -> None:
    """Assert that a repeated request gets the lost response.

    The response is the same at once, and after the work is done and has changed everything.
    """
    _, partners = caller.discover()
    partner = first_with(partners, "client")
    key = {"Idempotency-Key": str(uuid.uuid4())}
    path = f"/v1/partners/{partner['id']}/token"
    token = caller.meta.token(partner["meta_business_id"])
    connect: Json = {"json": {"access_token": token}, "headers": key}
    send_and_hang_up(stack, caller, "PUT", path, connect)
    first = caller.ask("PUT", path, **connect)
    assert first.status_code == 202
    assert caller.wait_for_validation(first.headers["Location"])["verdict"] == "connectable"
    caller.settle(partner)
    again = caller.ask("PUT", path, **connect)
    assert (again.status_code, again.content) == (202, first.content)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert handed_over(caller, partner) == 1

    check: Json = {"json": {}, "headers": key}
    send_and_hang_up(stack, caller, "POST", f"/v1/partners/{partner['id']}/sync-jobs", check)
    wait_until(lambda: checks_by_api(caller, partner), lambda jobs: len(jobs) == 1)
    caller.settle(partner)
    again = caller.ask("POST", f"/v1/partners/{partner['id']}/sync-jobs", **check)
    (job,) = checks_by_api(caller, partner)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json()["id"] == job["id"]
    assert job["status"] == "completed"


def checks_by_api(caller: Caller, partner: Json) -> list[Json]:
    """Return the partner's checks that a request started."""
    return caller.everything("/v1/sync-jobs", partner_id=partner["id"], trigger="api")
