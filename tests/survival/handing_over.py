"""Workers that are stopped and hosts that are lost: other workers continue their runs."""

import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg

from tests.journey.caller import wait_until
from tests.journey.meta import Json
from tests.support.processes import Running
from tests.survival.customer import Customer
from tests.survival.deployment import Deployment
from tests.survival.kills import TAKEN_OVER_WITHIN_SECONDS, aim
from tests.survival.report import Report

# Few enough for one worker to run all of them at once.
PARTNERS_AT_ONCE = 6
LATENCY_SECONDS = 0.4
WITHIN_SECONDS = 2.0


def stop_workers(subject: Customer, *, seed: int, stops: int) -> Report:
    """Send SIGTERM during a check: the worker ends and another continues, both within 2 s."""
    deployment = subject.deployment
    report = Report("SIGTERM of a worker", subject, seed)
    dice = random.Random(f"{seed} stop")  # noqa: S311 - guards nothing
    while report.blows < stops:
        jobs = _start_some(subject, dice)
        victim = aim(deployment, dice)
        if victim is not None:
            _stop(deployment, victim, report)
            deployment.start_worker()
        _finish(subject, report, jobs)
    return report.ended()


def lose_host(subject: Customer, *, seed: int) -> Report:
    """Freeze a worker like a host without power: its connections stay open."""
    deployment = subject.deployment
    report = Report("a host that is gone", subject, seed)
    dice = random.Random(f"{seed} host")  # noqa: S311 - guards nothing
    victim = None
    while victim is None:
        jobs = _start_some(subject, dice)
        victim = aim(deployment, dice)
        if victim is None:
            _finish(subject, report, jobs)
    deployment.workers[victim].process.send_signal(signal.SIGSTOP)
    gone_at = time.monotonic()
    report.blows += 1
    left = _runs_of(deployment, victim)
    wait_until(lambda: _elsewhere(deployment, victim, left), bool, seconds=90)
    taken_over = time.monotonic() - gone_at
    report.measured("its work runs elsewhere after", taken_over)
    if taken_over > TAKEN_OVER_WITHIN_SECONDS:
        report.violations.append(f"late: taken over after {taken_over:.1f} s")
    _finish(subject, report, jobs)
    deployment.kill_worker(victim)
    deployment.start_worker()
    return report.ended()


def lose_host_in_transaction(subject: Customer, *, seed: int) -> Report:
    """Freeze a worker that holds the lock of the job's row while it applies the plan."""
    deployment = subject.deployment
    report = Report("a host that is gone in a transaction", subject, seed)
    partner = random.Random(f"{seed} locks").choice(subject.partners)  # noqa: S311 - guards nothing
    with psycopg.connect(deployment.database_url or "") as server:
        server.execute("LOCK TABLE partner_users IN SHARE MODE")
        job = subject.caller.start_check(partner)
        victim = wait_until(lambda: _waits_for_a_lock(deployment), lambda found: found is not None)
        assert victim is not None
        deployment.workers[victim].process.send_signal(signal.SIGSTOP)
        gone_at = time.monotonic()
    report.blows += 1
    subject.ended(job)
    report.measured("its check has ended after", time.monotonic() - gone_at)
    report.judge(job)
    deployment.kill_worker(victim)
    deployment.start_worker()
    return report.ended()


def _waits_for_a_lock(deployment: Deployment) -> str | None:
    """Return the worker whose transaction waits for a lock."""
    waiting = {
        name
        for (name,) in deployment.rows(
            "SELECT application_name FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        )
    }
    for executor, running in deployment.workers.items():
        if running.log_path.stem in waiting:
            return executor
    return None


def _start_some(subject: Customer, dice: random.Random) -> list[Json]:
    subject.caller.meta.latency(LATENCY_SECONDS)
    some = dice.sample(subject.partners, min(PARTNERS_AT_ONCE, len(subject.partners)))
    return [subject.caller.start_check(partner) for partner in some]


def _finish(subject: Customer, report: Report, jobs: list[Json]) -> None:
    subject.caller.meta.latency(0.0)
    subject.ended(*jobs)
    report.judge(*jobs)


def _stop(deployment: Deployment, victim: str, report: Report) -> None:
    left = _runs_of(deployment, victim)
    running = deployment.workers.pop(victim)
    asked_at = time.monotonic()
    with ThreadPoolExecutor(max_workers=1) as beside:
        running.process.send_signal(signal.SIGTERM)
        ended = beside.submit(_ended, running, asked_at)
        wait_until(lambda: _elsewhere(deployment, victim, left), bool, seconds=60)
        handed_over = time.monotonic() - asked_at
        stopped = ended.result()
    report.blows += 1
    report.measured("from SIGTERM to its work running elsewhere", handed_over)
    report.measured("from SIGTERM to its end", stopped)
    if max(handed_over, stopped) > WITHIN_SECONDS:
        report.violations.append(
            f"late: handed over in {handed_over:.2f} s, end in {stopped:.2f} s"
        )
    if running.process.returncode != 0:
        report.violations.append(f"exit code: {running.process.returncode}\n{running.log[-2000:]}")


def _ended(running: Running, since: float) -> float:
    running.process.wait(timeout=30)
    return time.monotonic() - since


def _runs_of(deployment: Deployment, executor: str) -> list[str]:
    of_executor = deployment.rows(
        "SELECT workflow_uuid FROM {engine}workflow_status "
        "WHERE status = 'PENDING' AND executor_id = ?",
        [executor],
    )
    return [run for (run,) in of_executor]


def _elsewhere(deployment: Deployment, executor: str, left: list[str]) -> bool:
    """Return whether each of the runs has ended or was started by another worker."""
    unfinished = deployment.rows(
        "SELECT workflow_uuid FROM {engine}workflow_status WHERE status = 'ENQUEUED' "
        "OR (status = 'PENDING' AND executor_id = ?)",
        [executor],
    )
    return not {run for (run,) in unfinished} & set(left)
