"""API client of a customer: one workspace, one API key, and the public API over HTTP."""

import base64
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import httpx
from nacl.public import PublicKey, SealedBox

from tests.journey.meta import Json, Meta

FINAL = {"completed", "failed", "cancelled", "halted"}
WAIT_SECONDS = 60.0

Found = TypeVar("Found")


def wait_until(
    read: Callable[[], Found],
    is_ready: Callable[[Found], bool],
    *,
    seconds: float = WAIT_SECONDS,
) -> Found:
    """Return what `read` returns once `is_ready` accepts it; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not is_ready(seen := read()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {seen}"
        time.sleep(0.1)
    return seen


class Caller:
    """Client that sends every request of a test to the API and keeps every response."""

    def __init__(
        self, url: str, meta: Meta, tenant: Json, kept: list[bytes], timeout: float = 60
    ) -> None:
        self.meta = meta
        self.workspace_id = str(tenant["workspace_id"])
        self.api_key = str(tenant["api_key"])
        self._kept = kept
        self._http = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {self.api_key}"},
            trust_env=False,
            timeout=timeout,
            event_hooks={"response": [self._keep]},
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send any request and return its response, whatever the status."""
        return self._http.request(method, path, **options)

    def get(self, path: str, **params: Any) -> Json:
        """Return one resource or one page."""
        return _json(self.ask("GET", path, params=params), 200)

    def everything(self, path: str, **params: Any) -> list[Json]:
        """Return all items of a list, page by page."""
        items: list[Json] = []
        while True:
            page = self.get(path, **params)
            items += page["items"]
            if page["next_cursor"] is None:
                return items
            params["cursor"] = page["next_cursor"]

    def health_changes(self, partner: Json) -> list[tuple[str, str]]:
        """Return the audited changes of the token's health, oldest first, as (before, after)."""
        return [
            (event["details"]["was"], event["details"]["health"])
            for event in self.everything("/v1/audit-events", page_size=100)[::-1]
            if (event["action"], event["subject"]) == ("token.health_changed", partner["id"])
        ]

    def integrate(self, *, health: str = "healthy") -> Json:
        """Create the integration of our own business with its good token."""
        host = self.meta.host()
        body = {
            "name": host["name"],
            "meta_business_id": host["id"],
            "access_token": host["token"],
            # Keep the safeguard out: a test may remove half of a small partner.
            "safeguard_percent": 100,
            # A scheduled check must not start in the middle of a test.
            "schedule": {"paused": True},
        }
        created = _json(self.ask("POST", "/v1/integrations", json=body), 201)
        path = f"/v1/integrations/{created['id']}"
        seen = wait_until(
            lambda: self.get(path), lambda found: found["health"] != "pending_validation"
        )
        assert seen["health"] == health, seen["health_reasons"]
        return seen

    def start_check(self, owner: Json) -> Json:
        """Start a check for updates of a partner or of an integration."""
        kind = "partners" if owner["id"].startswith("ptn_") else "integrations"
        return _json(self.ask("POST", f"/v1/{kind}/{owner['id']}/sync-jobs", json={}), 202)

    def job(self, job: Json) -> Json:
        """Return the job as it is now."""
        return self.get(f"/v1/sync-jobs/{job['id']}")

    def ended(self, job: Json, *, seconds: float = WAIT_SECONDS) -> Json:
        """Wait until the job has ended, children included, and return it."""
        return wait_until(
            lambda: self.job(job),
            lambda seen: seen["status"] in FINAL and seen["finished_at"] is not None,
            seconds=seconds,
        )

    def waiting(self, job: Json) -> Json:
        """Wait until the job waits for Meta, and return it."""
        return wait_until(lambda: self.job(job), lambda seen: seen["status"] == "waiting")

    def wait_for_validation(self, location: str) -> Json:
        """Wait until the validation at `location` is completed, and return it."""
        return wait_until(lambda: self.get(location), lambda seen: seen["status"] == "completed")

    def check(self, owner: Json, *, seconds: float = WAIT_SECONDS) -> Json:
        """Start a check for updates and wait until it completes."""
        job = self.ended(self.start_check(owner), seconds=seconds)
        assert job["status"] == "completed", job
        assert job["status_label"] == "Complete"
        return job

    def children(self, parent: Json) -> dict[str, Json]:
        """Return the child jobs of an integration's job, by partner."""
        jobs = self.everything("/v1/sync-jobs", task="sync_partner", page_size=100)
        return {job["partner_id"]: job for job in jobs if job["parent_id"] == parent["id"]}

    def partners(self, **params: Any) -> dict[str, Json]:
        """Return the partners by their id in Meta."""
        found = self.everything("/v1/partners", **params)
        return {partner["meta_business_id"]: partner for partner in found}

    def partner(self, partner: Json) -> Json:
        """Return the partner as it is now."""
        return self.get(f"/v1/partners/{partner['id']}")

    def discover(self) -> tuple[Json, dict[str, Json]]:
        """Create an integration, list its partners, and return both."""
        integration = self.integrate()
        self.check(integration)
        return integration, self.partners()

    def dry_run(self, partner: Json, token: str) -> Json:
        """Run every check of a token without connecting the partner."""
        path = f"/v1/partners/{partner['id']}/token-validations"
        return self._validate("POST", path, {"access_token": token})

    def connect(self, partner: Json, token: str | None = None) -> Json:
        """Hand over a token, by default the good one, and wait for the verdict."""
        body = {"access_token": token or self.meta.token(partner["meta_business_id"])}
        return self.connect_with(partner, body)

    def sealed(self, token: str) -> Json:
        """Return the token in a new sealed box, as a client of the API seals it."""
        key = self.get("/v1/sealing-keys/current")
        assert key["algorithm"] == "libsodium_sealed_box_x25519"
        box = SealedBox(PublicKey(base64.b64decode(key["public_key"])))
        sealed = base64.b64encode(box.encrypt(token.encode())).decode()
        return {"sealed_token": sealed, "key_id": key["key_id"]}

    def connect_with(self, partner: Json, body: Json) -> Json:
        """Hand over a token by this request body, and wait for the verdict."""
        return self._validate("PUT", f"/v1/partners/{partner['id']}/token", body)

    def connected(self, partner: Json) -> Json:
        """Connect the partner, wait for its first check for updates, and return the partner."""
        assert self.connect(partner)["verdict"] == "connectable"
        self.settle(partner)
        return self.partner(partner)

    def settle(self, partner: Json, *, seconds: float = WAIT_SECONDS) -> None:
        """Wait until no check of this partner is in progress."""
        unfinished = {"status": ["queued", "running", "waiting"], "partner_id": partner["id"]}
        wait_until(
            lambda: self.everything("/v1/sync-jobs", **unfinished),
            lambda jobs: not jobs,
            seconds=seconds,
        )

    def users(self, partner: Json, **params: Any) -> list[Json]:
        """Return the partner's active users with their grants."""
        asked = {"partner_id": partner["id"], "expand": "grants", "state": "active", **params}
        return self.everything("/v1/partner-users", **asked)

    def user(self, partner: Json, meta_user_id: str) -> Json:
        """Return one user of a partner, active or removed."""
        found = self.everything("/v1/partner-users", partner_id=partner["id"], expand="grants")
        return one(user for user in found if user["meta_user_id"] == meta_user_id)

    def _validate(self, method: str, path: str, body: Json) -> Json:
        answer = self.ask(method, path, json=body, headers={"Prefer": "wait=30"})
        assert answer.headers["Preference-Applied"] == "wait=30"
        if answer.status_code == 202:
            # The wait may end before the verdict when the machine is busy.
            return self.wait_for_validation(answer.headers["Location"])
        validation = _json(answer, 200)
        assert validation["status"] == "completed"
        return validation

    def _keep(self, response: httpx.Response) -> None:
        response.read()
        self._kept.append(str(response.headers.multi_items()).encode())
        self._kept.append(response.content)


def one(found: Iterable[Json]) -> Json:
    """Return the only item."""
    items = list(found)
    assert len(items) == 1, items
    return items[0]


def first_with(partners: dict[str, Json], relationship: str) -> Json:
    """Return the first partner of this relationship, by name."""
    found = [item for item in partners.values() if item["relationship"] == relationship]
    return min(found, key=lambda item: str(item["name"]))


def at_once(act: Callable[[Json], Found], items: Iterable[Json]) -> list[Found]:
    """Call `act` for all items at the same time; return the results in the items' order."""
    asked = list(items)
    with ThreadPoolExecutor(max_workers=len(asked)) as pool:
        return list(pool.map(act, asked))


def checks(validation: Json) -> dict[str, Json]:
    """Return the checks of a validation by id."""
    return {check["id"]: check for check in validation["checks"]}


def _json(answer: httpx.Response, expected: int) -> Json:
    assert answer.status_code == expected, f"{answer.status_code}: {answer.text}"
    document: Json = answer.json()
    return document
