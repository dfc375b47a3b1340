"""A customer's program: one workspace, one API key, and the public API over HTTP."""

import base64
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import httpx
from nacl.public import PublicKey, SealedBox

from tests.journey.meta import Json, Meta

FINAL = {"completed", "failed", "cancelled", "halted"}
PATIENCE_SECONDS = 60.0

Found = TypeVar("Found")


def wait_until(
    look: Callable[[], Found],
    is_right: Callable[[Found], bool],
    *,
    seconds: float = PATIENCE_SECONDS,
) -> Found:
    """What `look` sees once it is right. Fails with the last sight when it never is."""
    deadline = time.monotonic() + seconds
    while not is_right(seen := look()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {seen}"
        time.sleep(0.1)
    return seen


class Caller:
    """Everything that a test asks of the API goes through here, and every answer is kept."""

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
        """Give back the connections."""
        self._http.close()

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Any request, whatever the answer."""
        return self._http.request(method, path, **options)

    def get(self, path: str, **params: Any) -> Json:
        """One resource or one page."""
        return _json(self.ask("GET", path, params=params), 200)

    def everything(self, path: str, **params: Any) -> list[Json]:
        """All items of a list, page by page."""
        items: list[Json] = []
        while True:
            page = self.get(path, **params)
            items += page["items"]
            if page["next_cursor"] is None:
                return items
            params["cursor"] = page["next_cursor"]

    def health_changes(self, partner: Json) -> list[tuple[str, str]]:
        """What the partner's token was and then was, on record, oldest first."""
        return [
            (event["details"]["was"], event["details"]["health"])
            for event in self.everything("/v1/audit-events", page_size=100)[::-1]
            if (event["action"], event["subject"]) == ("token.health_changed", partner["id"])
        ]

    def integrate(self, *, health: str = "healthy") -> Json:
        """Our own business, with its own good token."""
        host = self.meta.host()
        body = {
            "name": host["name"],
            "meta_business_id": host["id"],
            "access_token": host["token"],
            # Nothing here is about the safeguard: a test may remove half of a small partner.
            "safeguard_percent": 100,
            # Nor should its minute of the day come in the middle of one.
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
        """Ask for a check for updates of a partner or of an integration."""
        kind = "partners" if owner["id"].startswith("ptn_") else "integrations"
        return _json(self.ask("POST", f"/v1/{kind}/{owner['id']}/sync-jobs", json={}), 202)

    def job(self, job: Json) -> Json:
        """The job as it is now."""
        return self.get(f"/v1/sync-jobs/{job['id']}")

    def ended(self, job: Json, *, seconds: float = PATIENCE_SECONDS) -> Json:
        """The job once it has come to an end, children included."""
        return wait_until(
            lambda: self.job(job),
            lambda seen: seen["status"] in FINAL and seen["finished_at"] is not None,
            seconds=seconds,
        )

    def waiting(self, job: Json) -> Json:
        """The job once it waits for Meta."""
        return wait_until(lambda: self.job(job), lambda seen: seen["status"] == "waiting")

    def proven(self, location: str) -> Json:
        """The validation at this address once it has its verdict."""
        return wait_until(lambda: self.get(location), lambda seen: seen["status"] == "completed")

    def check(self, owner: Json, *, seconds: float = PATIENCE_SECONDS) -> Json:
        """A check for updates that completes."""
        job = self.ended(self.start_check(owner), seconds=seconds)
        assert job["status"] == "completed", job
        assert job["status_label"] == "Complete"
        return job

    def children(self, parent: Json) -> dict[str, Json]:
        """The checks of single partners under one of the integration, by partner."""
        jobs = self.everything("/v1/sync-jobs", task="sync_partner", page_size=100)
        return {job["partner_id"]: job for job in jobs if job["parent_id"] == parent["id"]}

    def partners(self, **params: Any) -> dict[str, Json]:
        """Partners by their id in Meta."""
        found = self.everything("/v1/partners", **params)
        return {partner["meta_business_id"]: partner for partner in found}

    def partner(self, partner: Json) -> Json:
        """The partner as it is now."""
        return self.get(f"/v1/partners/{partner['id']}")

    def discover(self) -> tuple[Json, dict[str, Json]]:
        """An integration whose partners have been listed."""
        integration = self.integrate()
        self.check(integration)
        return integration, self.partners()

    def dry_run(self, partner: Json, token: str) -> Json:
        """Every check of a token, and nothing is connected."""
        path = f"/v1/partners/{partner['id']}/token-validations"
        return self._proven("POST", path, {"access_token": token})

    def connect(self, partner: Json, token: str | None = None) -> Json:
        """Hand over a token, the good one unless told otherwise, and wait for the verdict."""
        body = {"access_token": token or self.meta.token(partner["meta_business_id"])}
        return self.connect_with(partner, body)

    def sealed(self, token: str) -> Json:
        """The token as a client seals it, each time in a box that is like no other."""
        key = self.get("/v1/sealing-keys/current")
        assert key["algorithm"] == "libsodium_sealed_box_x25519"
        box = SealedBox(PublicKey(base64.b64decode(key["public_key"])))
        sealed = base64.b64encode(box.encrypt(token.encode())).decode()
        return {"sealed_token": sealed, "key_id": key["key_id"]}

    def connect_with(self, partner: Json, body: Json) -> Json:
        """The same with a body of one's own."""
        return self._proven("PUT", f"/v1/partners/{partner['id']}/token", body)

    def connected(self, partner: Json) -> Json:
        """A partner with a good token whose first check for updates is complete."""
        assert self.connect(partner)["verdict"] == "connectable"
        self.settle(partner)
        return self.partner(partner)

    def settle(self, partner: Json, *, seconds: float = PATIENCE_SECONDS) -> None:
        """Until no check of this partner is under way."""
        unfinished = {"status": ["queued", "running", "waiting"], "partner_id": partner["id"]}
        wait_until(
            lambda: self.everything("/v1/sync-jobs", **unfinished),
            lambda jobs: not jobs,
            seconds=seconds,
        )

    def users(self, partner: Json, **params: Any) -> list[Json]:
        """The partner's active users with their grants."""
        asked = {"partner_id": partner["id"], "expand": "grants", "state": "active", **params}
        return self.everything("/v1/partner-users", **asked)

    def user(self, partner: Json, meta_user_id: str) -> Json:
        """One user of a partner, active or removed."""
        found = self.everything("/v1/partner-users", partner_id=partner["id"], expand="grants")
        return one(user for user in found if user["meta_user_id"] == meta_user_id)

    def _proven(self, method: str, path: str, body: Json) -> Json:
        answer = self.ask(method, path, json=body, headers={"Prefer": "wait=30"})
        assert answer.headers["Preference-Applied"] == "wait=30"
        validation = _json(answer, 200)
        assert validation["status"] == "completed"
        return validation

    def _keep(self, response: httpx.Response) -> None:
        response.read()
        self._kept.append(str(response.headers.multi_items()).encode())
        self._kept.append(response.content)


def one(found: Iterable[Json]) -> Json:
    """The only one."""
    items = list(found)
    assert len(items) == 1, items
    return items[0]


def first_with(partners: dict[str, Json], relationship: str) -> Json:
    """The first partner of this relationship, by name."""
    found = [item for item in partners.values() if item["relationship"] == relationship]
    return min(found, key=lambda item: str(item["name"]))


def at_once(act: Callable[[Json], Found], items: Iterable[Json]) -> list[Found]:
    """Do this for each item, all at the same time; answers in the items' order."""
    asked = list(items)
    with ThreadPoolExecutor(max_workers=len(asked)) as pool:
        return list(pool.map(act, asked))


def checks(validation: Json) -> dict[str, Json]:
    """The checks of a token by id."""
    return {check["id"]: check for check in validation["checks"]}


def _json(answer: httpx.Response, expected: int) -> Json:
    assert answer.status_code == expected, f"{answer.status_code}: {answer.text}"
    document: Json = answer.json()
    return document
