"""A customer's program: one workspace, one key, and the public API over HTTP."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import httpx

Json = dict[str, Any]
Answer = TypeVar("Answer")

_FINAL = {"completed", "failed", "cancelled", "halted"}
_UNFINISHED = ("queued", "running", "waiting")
# Polls become rarer the longer a job takes, since each poll costs the server a few milliseconds.
_POLL_SECONDS = 0.02
_POLL_SHARE = 0.02
_TIMEOUT_SECONDS = 7200
_MAX_SHOWN = 500


@dataclass(frozen=True, slots=True)
class Timed:
    """A check for updates that completed."""

    job: Json
    seconds: float
    """From the request until the customer saw the completed job."""
    working_seconds: float
    """The same without the time in the queue. Both include commit and checkpoint."""

    @property
    def own_seconds(self) -> float:
        """Seconds between the job's own start and end, without its last commit."""
        return _instant(self.job["finished_at"]) - _instant(self.job["started_at"])


class Customer:
    """Client for the public API. Any failure ends the benchmark."""

    def __init__(self, url: str, api_key: str) -> None:
        headers = {"Authorization": f"Bearer {api_key}"}
        self._http = httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=120)

    def integrate(self, business_id: str, token: str) -> Json:
        """Create an integration, wait for its token validation, and check it for updates.

        Raises `RuntimeError` if it does not become healthy.
        """
        body = {
            "name": "Our own business",
            "meta_business_id": business_id,
            "access_token": token,
            "safeguard_percent": 100,
        }
        path = f"/v1/integrations/{self.post('/v1/integrations', body)['id']}"
        integration = wait_until(
            lambda: self.get(path), lambda seen: seen["health"] != "pending_validation"
        )
        if integration["health"] != "healthy":
            raise RuntimeError(f"not healthy: {integration['health_reasons']}")
        self.check(integration)
        return integration

    def partners(self, integration: Json) -> dict[str, Json]:
        """Return the partners of an integration by their Meta ids."""
        found = self.list_all("/v1/partners", integration_id=integration["id"])
        return {partner["meta_business_id"]: partner for partner in found}

    def connect(self, partners: Iterable[tuple[Json, str]]) -> None:
        """Hand over a token for each partner, and wait for the sync jobs that follow."""
        for partner, token in partners:
            path = f"/v1/partners/{partner['id']}/token"
            self._http.put(path, json={"access_token": token}).raise_for_status()
        wait_until(self._all_are_onboarded, bool)
        wait_until(
            lambda: self.get("/v1/sync-jobs", status=_UNFINISHED)["items"], lambda jobs: not jobs
        )

    def check(self, owner: Json) -> Timed:
        """Check a partner or an integration for updates, and wait for the end of the job.

        Raises `RuntimeError` if the job does not complete.
        """
        kind = "partners" if owner["id"].startswith("ptn_") else "integrations"
        began = time.perf_counter()
        job = self.post(f"/v1/{kind}/{owner['id']}/sync-jobs", {})
        path = f"/v1/sync-jobs/{job['id']}"
        ended = wait_until(
            lambda: self.get(path),
            lambda seen: seen["status"] in _FINAL and seen["finished_at"] is not None,
        )
        seconds, at = time.perf_counter() - began, time.time()
        if ended["status"] != "completed" or ended["partial"]:
            raise RuntimeError(f"did not complete: {ended}")
        return Timed(ended, seconds, at - _instant(ended["started_at"]))

    def delete(self, integration: Json) -> None:
        """Delete an integration with its partners."""
        self._http.delete(f"/v1/integrations/{integration['id']}").raise_for_status()

    def list_all(self, path: str, **params: Any) -> list[Json]:
        """Read all pages of a list and return their items."""
        page = self.get(path, page_size=100, **params)
        items: list[Json] = page["items"]
        while page["next_cursor"]:
            page = self.get(path, page_size=100, cursor=page["next_cursor"], **params)
            items += page["items"]
        return items

    def get(self, path: str, **params: Any) -> Json:
        """Read a resource or a page."""
        return _document(self._http.get(path, params=params))

    def post(self, path: str, body: Json) -> Json:
        """Create a resource and return it."""
        return _document(self._http.post(path, json=body))

    def _all_are_onboarded(self) -> bool:
        pending = self.get("/v1/partners", onboarding_status="pending_onboarding", page_size=1)
        return not pending["items"]


def wait_until(read: Callable[[], Answer], is_final: Callable[[Answer], bool]) -> Answer:
    """Poll `read` until `is_final`, and return its result. Raises `TimeoutError`."""
    began = time.monotonic()
    while not is_final(seen := read()):
        waited = time.monotonic() - began
        if waited > _TIMEOUT_SECONDS:
            raise TimeoutError(f"not finished after {_TIMEOUT_SECONDS} s: {str(seen)[:_MAX_SHOWN]}")
        time.sleep(max(_POLL_SECONDS, _POLL_SHARE * waited))
    return seen


def _document(answer: httpx.Response) -> Json:
    answer.raise_for_status()
    document: Json = answer.json()
    return document


def _instant(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
