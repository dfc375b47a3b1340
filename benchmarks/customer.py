"""A customer's program: one workspace, one key, and the public API over HTTP."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import httpx

Json = dict[str, Any]
Found = TypeVar("Found")

_FINAL = {"completed", "failed", "cancelled", "halted"}
_UNFINISHED = ("queued", "running", "waiting")
# Often enough to see an end in time, and the more seldom the longer it takes: looking costs the
# server a few milliseconds each time.
_LOOK_EVERY_SECONDS = 0.02
_LOOK_EVERY_SHARE = 0.02
_PATIENCE_SECONDS = 7200
_MOST_TOLD = 500


@dataclass(frozen=True, slots=True)
class Timed:
    """A check for updates that completed."""

    job: Json
    seconds: float
    """From before it was asked for until the customer saw that it is complete."""
    working_seconds: float
    """The same without the time that it waited in the queue; both hold commit and checkpoint."""

    @property
    def own_seconds(self) -> float:
        """From its start to its end as the job itself tells: its last commit comes after that."""
        return _instant(self.job["finished_at"]) - _instant(self.job["started_at"])


class Customer:
    """What a benchmark asks of the API. Anything that goes wrong ends the benchmark."""

    def __init__(self, url: str, api_key: str) -> None:
        headers = {"Authorization": f"Bearer {api_key}"}
        self._http = httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=120)

    def integrate(self, business_id: str, token: str) -> Json:
        """Our own business once its token is proven, with its partners listed."""
        body = {
            "name": "Our own business",
            "meta_business_id": business_id,
            "access_token": token,
            "safeguard_percent": 100,
        }
        path = f"/v1/integrations/{self.post('/v1/integrations', body)['id']}"
        integration = until(
            lambda: self.get(path), lambda seen: seen["health"] != "pending_validation"
        )
        if integration["health"] != "healthy":
            raise RuntimeError(f"not healthy: {integration['health_reasons']}")
        self.check(integration)
        return integration

    def partners(self, integration: Json) -> dict[str, Json]:
        """Its partners by their id in Meta."""
        found = self.everything("/v1/partners", integration_id=integration["id"])
        return {partner["meta_business_id"]: partner for partner in found}

    def connect(self, partners: Iterable[tuple[Json, str]]) -> None:
        """Hand over a token for each, and wait for the checks that follow."""
        for partner, token in partners:
            path = f"/v1/partners/{partner['id']}/token"
            self._http.put(path, json={"access_token": token}).raise_for_status()
        until(self._all_are_onboarded, bool)
        until(lambda: self.get("/v1/sync-jobs", status=_UNFINISHED)["items"], lambda jobs: not jobs)

    def check(self, owner: Json) -> Timed:
        """Ask for a check of a partner or an integration, and wait until it is complete."""
        kind = "partners" if owner["id"].startswith("ptn_") else "integrations"
        began = time.perf_counter()
        job = self.post(f"/v1/{kind}/{owner['id']}/sync-jobs", {})
        path = f"/v1/sync-jobs/{job['id']}"
        ended = until(
            lambda: self.get(path),
            lambda seen: seen["status"] in _FINAL and seen["finished_at"] is not None,
        )
        seconds, at = time.perf_counter() - began, time.time()
        if ended["status"] != "completed" or ended["partial"]:
            raise RuntimeError(f"did not complete: {ended}")
        return Timed(ended, seconds, at - _instant(ended["started_at"]))

    def forget(self, integration: Json) -> None:
        """Delete it with all that hangs on it."""
        self._http.delete(f"/v1/integrations/{integration['id']}").raise_for_status()

    def everything(self, path: str, **params: Any) -> list[Json]:
        """All items of a list, page by page."""
        page = self.get(path, page_size=100, **params)
        items: list[Json] = page["items"]
        while page["next_cursor"]:
            page = self.get(path, page_size=100, cursor=page["next_cursor"], **params)
            items += page["items"]
        return items

    def get(self, path: str, **params: Any) -> Json:
        """One resource or one page."""
        return _document(self._http.get(path, params=params))

    def post(self, path: str, body: Json) -> Json:
        """What was made."""
        return _document(self._http.post(path, json=body))

    def _all_are_onboarded(self) -> bool:
        pending = self.get("/v1/partners", onboarding_status="pending_onboarding", page_size=1)
        return not pending["items"]


def until(look: Callable[[], Found], is_right: Callable[[Found], bool]) -> Found:
    """What `look` sees once it is right."""
    began = time.monotonic()
    while not is_right(seen := look()):
        waited = time.monotonic() - began
        if waited > _PATIENCE_SECONDS:
            raise TimeoutError(f"still not, after {_PATIENCE_SECONDS} s: {str(seen)[:_MOST_TOLD]}")
        time.sleep(max(_LOOK_EVERY_SECONDS, _LOOK_EVERY_SHARE * waited))
    return seen


def _document(answer: httpx.Response) -> Json:
    answer.raise_for_status()
    document: Json = answer.json()
    return document


def _instant(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
