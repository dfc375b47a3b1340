"""Rolling restart of two API processes behind a balancer, under load."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tests.journey.meta import Json
from tests.support.balancer import Balancer, balancer
from tests.support.processes import Running, api_process
from tests.survival.customer import Customer
from tests.survival.load import Load, under_load
from tests.survival.report import Report

# Many times as long as the balancer needs to notice, also on a busy machine.
DRAIN_SECONDS = 3.0
# Undisturbed service before, between and after the restarts, in seconds.
CALM_SECONDS = 0.5
# Slow enough that checks are running, waited for and followed whenever a process ends.
LATENCY_SECONDS = 0.1


def restart_apis(subject: Customer, *, seed: int, restarts: int) -> Report:
    """Send SIGTERM to each API process in turn; every client gets its response."""
    report = Report("rolling restart of two APIs", subject, seed)
    subject.caller.meta.latency(LATENCY_SECONDS)
    with two_apis(subject) as apis:
        load = asyncio.run(_restart_under_load(apis, report, restarts))
    subject.caller.meta.latency(0.0)
    report.notes += load.answered
    report.figures |= load.seconds
    report.violations += [f"request failed: {one}" for one in load.failed]
    report.violations += [*_wrong_keys(load, subject), *_jobs_not_complete(load)]
    return report.ended()


class Apis:
    """Two API processes, each with a fixed address."""

    def __init__(self, subject: Customer, processes: ExitStack) -> None:
        self.subject = subject
        self._processes = processes
        self._running: dict[str, Running] = {}
        self._started = 0
        for _ in range(2):
            self._serve("0")

    @property
    def urls(self) -> list[str]:
        """Addresses of the processes."""
        return list(self._running)

    def restart(self, url: str) -> int:
        """Send SIGTERM, start a new process after the old one ended, and return the exit code."""
        code = self._running[url].stop()
        self._serve(url.rsplit(":", 1)[1])
        return code

    def _serve(self, port: str) -> None:
        self._started += 1
        deployment = self.subject.deployment
        settings = {**deployment.of_api, "DRAIN_SECONDS": str(DRAIN_SECONDS)}
        name = f"rolling-{self._started}"
        running = self._processes.enter_context(
            api_process(settings, deployment.directory, "--port", port, name=name)
        )
        self._running[running.url] = running


@contextmanager
def two_apis(subject: Customer) -> Iterator[Apis]:
    """Run two API processes besides the deployment's own, on the same database."""
    with ExitStack() as processes:
        yield Apis(subject, processes)


async def _restart_under_load(apis: Apis, report: Report, restarts: int) -> Load:
    async with balancer(apis.urls) as entrance, under_load(entrance.url, apis.subject) as load:
        await asyncio.sleep(CALM_SECONDS)
        while report.blows < restarts:
            url = apis.urls[report.blows % len(apis.urls)]
            await _restart(apis, entrance, load, report, url)
            await asyncio.sleep(CALM_SECONDS)
    return load


async def _restart(apis: Apis, entrance: Balancer, load: Load, report: Report, url: str) -> None:
    load.phase = "during a restart"
    code = await asyncio.to_thread(apis.restart, url)
    await entrance.has_all()
    load.phase = "between restarts"
    report.blows += 1
    if code != 0:
        report.violations.append(f"exit code: {code}")


def _wrong_keys(load: Load, subject: Customer) -> list[str]:
    """Return keys that were created without a response, or not exactly once."""
    keys: list[Json] = subject.caller.everything("/v1/api-keys", page_size=100)
    made = Counter(key["name"] for key in keys if key["name"].startswith(load.name))
    return [
        f"write: {name} is there {made[name]} times" for name in load.made if made[name] != 1
    ] + [f"write: no response for {name}" for name in made.keys() - load.made]


def _jobs_not_complete(load: Load) -> list[str]:
    jobs = [load.subject.caller.ended({"id": job_id}) for job_id in sorted(load.jobs)]
    load.subject.add_known_jobs(jobs)
    return [f"job not complete: {job}" for job in jobs if job["status"] != "completed"]
