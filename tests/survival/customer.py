"""Customer with connected partners, and the comparison of each check's result with Meta."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from tests.journey import truth
from tests.journey.caller import Caller, at_once
from tests.journey.meta import Json
from tests.journey.replay import replay, shown
from tests.journey.stacks import make_tenant
from tests.survival.deployment import Deployment

ENDS_WITHIN_SECONDS = 180.0
_CONNECTED_AT_ONCE = 5

# Columns whose combination must be unique.
_DUPLICATES = (
    ("partners", "integration_id, meta_business_id"),
    ("partner_users", "partner_id, meta_user_id"),
    ("assets", "integration_id, type, meta_id"),
    ("asset_shares", "partner_id, asset_id"),
    ("grants", "partner_user_id, asset_id, via"),
    ("changes", "workspace_id, sequence"),
)
_UNFINISHED_RUNS = """
SELECT workflow_uuid, status FROM {engine}workflow_status
WHERE status IN ('PENDING', 'ENQUEUED', 'DELAYED')
"""
# When the worker was killed after the job had ended, another worker has to end the run.
_RUN_ENDS_WITHIN_SECONDS = 60.0
# Deleted by the run of a job after the job has ended, or by a cleanup.
_SWEPT_WITHIN_SECONDS = 75.0
_PASSING = ("staged_partners", "staged_assets", "staged_users", "staged_grants", "planned_changes")


class Customer:
    """Workspace with a connected integration and partners, and what it has seen so far."""

    def __init__(self, deployment: Deployment, caller: Caller, integration: Json) -> None:
        self.deployment = deployment
        self.caller = caller
        self.integration = integration
        self.partners: list[Json] = []
        self.judged: Counter[str] = Counter()
        """Number of objects compared, by kind."""
        self._ids: dict[tuple[str, str], str] = {}
        self._jobs: set[str] = set()

    @property
    def business_ids(self) -> list[str]:
        """Connected partners by their id in Meta."""
        return [partner["meta_business_id"] for partner in self.partners]

    def connect(self, partners: Sequence[Json]) -> None:
        """Hand over the tokens of these partners, and wait for each first check."""
        for start in range(0, len(partners), _CONNECTED_AT_ONCE):
            at_once(self.caller.connect, partners[start : start + _CONNECTED_AT_ONCE])
        for partner in partners:
            self.caller.settle(partner, seconds=ENDS_WITHIN_SECONDS)
        self.partners += partners
        self._jobs = {job["id"] for job in self.all_jobs()}

    def all_jobs(self) -> list[Json]:
        """Return every job of the workspace."""
        return self.caller.everything("/v1/sync-jobs", page_size=100)

    def ended(self, *started: Json) -> None:
        """Wait until these jobs have ended, children included."""
        for job in started:
            self.caller.ended(job, seconds=ENDS_WITHIN_SECONDS)

    def with_children(self, parent: Json) -> list[Json]:
        """Return the job and its child jobs, as they are now."""
        return [self.caller.job(parent), *self.caller.children(parent).values()]

    def add_known_jobs(self, jobs: Iterable[Json]) -> None:
        """Record that these jobs were requested."""
        self._jobs |= {job["id"] for job in jobs}

    def violations(self, *started: Json, first_attempt_only: bool = True) -> list[str]:
        """Return every difference to an undisturbed run of these jobs and no others."""
        return [
            *self._wrong_jobs(started, first_attempt_only=first_attempt_only),
            *self._wrong_state(),
            *self._wrong_rows(),
            *self._wrong_feed(),
        ]

    def _wrong_jobs(self, started: Sequence[Json], *, first_attempt_only: bool) -> list[str]:
        found, jobs = [], [self.caller.job(job) for job in started]
        for parent in [job for job in jobs if job["partner_id"] is None]:
            children = self.caller.children(parent)
            jobs += children.values()
            lost = {partner["id"] for partner in self.partners} - children.keys()
            found += [f"job lost: none for {partner_id}" for partner_id in sorted(lost)]
        for job in jobs:
            if job["status"] != "completed" or job["partial"]:
                found.append(f"job not complete: {_summary(job)}")
            elif first_attempt_only and job["attempt"] != 1:
                found.append(f"job tried again: {_summary(job)}")
        self.judged["jobs"] += len(jobs)
        now = {job["id"] for job in self.all_jobs()}
        twice = now - self._jobs - {job["id"] for job in jobs}
        found += [f"job twice: no request for {job_id}" for job_id in sorted(twice)]
        self._jobs = now
        return found

    def _wrong_state(self) -> list[str]:
        found = []
        for partner in self.partners:
            known = self.caller.meta.partner(partner["meta_business_id"])
            users = self.caller.users(partner)
            assets = self.caller.everything(f"/v1/partners/{partner['id']}/assets")
            whose = partner["name"]
            found += differing(f"users of {whose}", truth.shown_users(users), truth.users(known))
            found += differing(
                f"assets of {whose}", truth.shown_assets(assets), truth.assets(known)
            )
            self.judged["users"] += len(users)
            self.judged["grants"] += sum(len(user["grants"]) for user in users)
            for user in users:
                key = (partner["id"], user["meta_user_id"])
                if self._ids.setdefault(key, user["id"]) != user["id"]:
                    found.append(f"row missing or wrong: {user['id']} was {self._ids[key]}")
        return found

    def _wrong_rows(self) -> list[str]:
        found = [f"left over: run {run} is {status}" for run, status in self._unfinished_runs()]
        for table, key in _DUPLICATES:
            query = f"SELECT {key} FROM {table} GROUP BY {key} HAVING count(*) > 1"  # noqa: S608
            found += [f"row duplicate: {table} {row}" for row in self.deployment.rows(query)]
        return found

    def left_over(self) -> list[str]:
        """Return staged rows of ended jobs that no run or cleanup has deleted."""

        def look() -> dict[str, int]:
            counts = {
                table: self.deployment.rows(f"SELECT count(*) FROM {table}")[0][0]  # noqa: S608
                for table in _PASSING
            }
            return {table: count for table, count in counts.items() if count}

        deadline = time.monotonic() + _SWEPT_WITHIN_SECONDS
        while (left := look()) and time.monotonic() < deadline:
            time.sleep(1)
        return [f"left over: {count} rows in {table}" for table, count in left.items()]

    def _unfinished_runs(self) -> list[tuple[str, str]]:
        """Return the unfinished runs; a run ends shortly after its job."""
        deadline = time.monotonic() + _RUN_ENDS_WITHIN_SECONDS
        while (runs := self.deployment.rows(_UNFINISHED_RUNS)) and time.monotonic() < deadline:
            time.sleep(0.1)
        return [(str(run), str(status)) for run, status in runs]

    def _wrong_feed(self) -> list[str]:
        users = [user for partner in self.partners for user in self.caller.users(partner)]
        events = list(feed(self.caller))
        self.judged["changes replayed"] += len(events)
        replayed = replay(events)
        found = [f"change duplicate: {event}" for event in replayed.wrong]
        return found + differing("the feed's users", replayed.shown(), shown(users))


@contextmanager
def customer(deployment: Deployment, *, partners: int | None = None) -> Iterator[Customer]:
    """Yield a customer with `partners` connected partners, by default all."""
    with deployment.caller() as caller:
        integration, listed = _discover(caller)
        made = Customer(deployment, caller, integration)
        made.connect(sorted(listed.values(), key=lambda item: str(item["name"]))[:partners])
        yield made


def unlike_undisturbed(disturbed: Customer) -> list[str]:
    """Return the differences to a workspace that read the same Meta without disturbance."""
    deployment = disturbed.deployment
    tenant = make_tenant(deployment.of_worker, deployment.directory)
    with deployment.caller(tenant) as caller:
        integration, listed = _discover(caller)
        calm = Customer(deployment, caller, integration)
        calm.connect([listed[business_id] for business_id in disturbed.business_ids])
        job = caller.check(integration, seconds=ENDS_WITHIN_SECONDS)
        found = calm.violations(job)
        for mine, theirs in zip(disturbed.partners, calm.partners, strict=True):
            for what, show in _SHOWN.items():
                shown_to_us, shown_to_them = show(disturbed.caller, mine), show(caller, theirs)
                found += differing(f"{what} of {mine['name']}", shown_to_us, shown_to_them)
        assert caller.ask("DELETE", f"/v1/integrations/{integration['id']}").status_code == 204
    return found


def _discover(caller: Caller) -> tuple[Json, dict[str, Json]]:
    """List the partners, with the daily check paused so that it does not interfere."""
    integration, listed = caller.discover()
    path = f"/v1/integrations/{integration['id']}"
    paused = caller.ask("PATCH", path, json={"schedule": {"paused": True}})
    assert paused.status_code == 200, paused.text
    return integration, listed


_SHOWN: dict[str, Callable[[Caller, Json], Json]] = {
    "users": lambda caller, partner: truth.shown_users(caller.users(partner)),
    "assets": lambda caller, partner: truth.shown_assets(
        caller.everything(f"/v1/partners/{partner['id']}/assets")
    ),
}


def differing(what: str, found: Json, wanted: Json) -> list[str]:
    """Return a line for each entry that differs."""
    keys = sorted(key for key in found.keys() | wanted.keys() if found.get(key) != wanted.get(key))
    return [
        f"row missing or wrong: {what}, {key} is {found.get(key)}, not {wanted.get(key)}"
        for key in keys
    ]


def _summary(job: Json) -> str:
    names = ("id", "task", "status", "attempt", "partial", "warnings", "error")
    return str({name: job[name] for name in names})


def feed(caller: Caller) -> Iterator[Json]:
    """Yield the whole change feed of a workspace."""
    after = 0
    while items := caller.get("/v1/changes", after=after, page_size=100)["items"]:
        yield from items
        after = items[-1]["sequence"]
