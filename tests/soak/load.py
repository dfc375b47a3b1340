"""Customers who check for updates repeatedly, follow the jobs and receive webhooks."""

import itertools
import random
import threading
import time
import traceback
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import httpx

from tests.journey.caller import Caller
from tests.journey.meta import Json
from tests.support.event_streams import Reader, resuming
from tests.support.receivers import Receiver, receiver
from tests.survival.customer import ENDS_WITHIN_SECONDS, Customer

EVENT_TYPES = (
    "sync_job.completed",
    "sync_job.failed",
    "partner_user.left",
    "partner_user.rejoined",
    "partner_user.access_changed",
)
_REST_SECONDS = 2.0
# Every third follower hangs up after this many events.
_HANGS_UP_AFTER = 2


class Load:
    """Threads of customers. `done` counts what was done, `troubles` lists what went wrong."""

    def __init__(self, subject: Customer, receiver_of_events: Receiver) -> None:
        self.subject = subject
        self.done: Counter[str] = Counter()
        self.troubles: list[str] = []
        self._receiver = receiver_of_events
        self._ended = threading.Event()
        self._lock = threading.Lock()

    def counted(self) -> dict[str, int]:
        """Return the counts so far."""
        self.done["webhooks received"] = len(self._receiver.requests)
        return dict(self.done)

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Run until the block ends, and wait for what is in progress then."""
        acts = [self._check_of(partner) for partner in self.subject.partners]
        acts += [self._check_all, self._try_a_token]
        threads = [threading.Thread(target=self._again_and_again, args=(act,)) for act in acts]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._ended.set()
            for thread in threads:
                thread.join()

    def _again_and_again(self, act: Callable[[Caller], None]) -> None:
        with self.subject.deployment.caller(self._tenant()) as caller:
            while not self._ended.is_set():
                try:
                    act(caller)
                except Exception:
                    self.troubles.append(traceback.format_exc())
                    time.sleep(_REST_SECONDS)

    def _check_of(self, partner: Json) -> Callable[[Caller], None]:
        """Return a customer's act: change one user's access, check, follow the job and read."""
        turns = itertools.count()
        dice = random.Random(partner["id"])  # noqa: S311 - guards nothing
        person, asset, tasks = _some_person(self.subject, partner)

        def act(caller: Caller) -> None:
            turn = next(turns)
            now = tasks if turn % 2 else []
            caller.meta.mutate("change_tasks", person=person, asset=asset, tasks=now)
            job = self._ask_for_a_check(caller, f"/v1/partners/{partner['id']}/sync-jobs")
            self._follow(caller, job, hang_up=turn % 3 == 0)
            caller.ended(job, seconds=ENDS_WITHIN_SECONDS)
            caller.users(partner)
            caller.get("/v1/changes", partner_id=partner["id"])
            self._count("checks of a partner")
            time.sleep(dice.uniform(0, 0.2))

        return act

    def _check_all(self, caller: Caller) -> None:
        path = f"/v1/integrations/{self.subject.integration['id']}/sync-jobs"
        caller.ended(self._ask_for_a_check(caller, path), seconds=ENDS_WITHIN_SECONDS)
        caller.get("/v1/sync-jobs", page_size=100)
        self._count("checks of all partners")
        time.sleep(_REST_SECONDS)

    def _try_a_token(self, caller: Caller) -> None:
        partner = self.subject.partners[0]
        caller.dry_run(partner, caller.meta.token(partner["meta_business_id"]))
        self._count("tokens tried")
        time.sleep(_REST_SECONDS)

    def _ask_for_a_check(self, caller: Caller, path: str) -> Json:
        """Send the request twice with one key, like a client that lost the response."""
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        first, again = (caller.ask("POST", path, json={}, headers=headers) for _ in range(2))
        assert first.status_code == again.status_code == 202, (first.text, again.text)
        job: Json = first.json()
        assert again.json()["id"] == job["id"]
        self._count("keys used")
        return job

    def _follow(self, caller: Caller, job: Json, *, hang_up: bool) -> None:
        reader = Reader()
        headers = {"Authorization": f"Bearer {caller.api_key}", **resuming(None)}
        path = f"/v1/sync-jobs/{job['id']}/events"
        with (
            httpx.Client(
                base_url=self.subject.deployment.api.url, trust_env=False, timeout=60
            ) as client,
            client.stream("GET", path, headers=headers) as answer,
        ):
            for line in answer.iter_lines():
                if reader.take(line) and hang_up and len(reader.events) >= _HANGS_UP_AFTER:
                    break
        self._count("streams")

    def _tenant(self) -> Json:
        caller = self.subject.caller
        return {"workspace_id": caller.workspace_id, "api_key": caller.api_key}

    def _count(self, what: str) -> None:
        with self._lock:
            self.done[what] += 1


def _some_person(subject: Customer, partner: Json) -> tuple[str, str, list[str]]:
    """Return a person of the partner, an asset assigned to that person, and the tasks."""
    known = subject.caller.meta.partner(partner["meta_business_id"])
    return next(
        (row["id"], asset["id"], row["tasks"])
        for asset in known["shared_assets"]
        for row in asset["people"]
        if row["via"] == "direct"
    )


@contextmanager
def load(subject: Customer) -> Iterator[Load]:
    """Yield customers with a server that receives their webhooks."""
    with ExitStack() as stack:
        receiver_of_events = stack.enter_context(receiver())
        body = {"url": receiver_of_events.url, "event_types": list(EVENT_TYPES)}
        made = subject.caller.ask("POST", "/v1/webhook-endpoints", json=body)
        assert made.status_code == 201, made.text
        receiver_of_events.secret = made.json()["signing_secret"]
        yield Load(subject, receiver_of_events)
