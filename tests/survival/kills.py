"""Workers that are killed or frozen repeatedly, at random moments of a check."""

import random
import signal
import time
from collections.abc import Callable

from tests.journey.caller import wait_until
from tests.survival.customer import Customer
from tests.survival.deployment import Deployment
from tests.survival.late_writes import late_writes, watch_writes
from tests.survival.report import Report
from tests.survival.world import ChangingWorld

# Slow enough to hit a check several times; with less latency, our own writing takes more of it.
LATENCIES_SECONDS = (0.05, 0.15, 0.3)
BLOWS_A_CHECK = 8
_LONGEST_AIM_SECONDS = 1.0
# Shorter than the time after which other workers consider a worker dead.
_SHORT_FREEZE_SECONDS = 8.0
# Within this time other workers recover each run of a lost host.
TAKEN_OVER_WITHIN_SECONDS = 60.0

Blow = Callable[[Deployment, str, Report, random.Random], None]


def kill_workers(subject: Customer, *, seed: int, kills: int) -> Report:
    """Kill a busy worker with -9 and start a new one, until `kills` workers are dead."""
    report = Report("kill -9 of the worker", subject, seed)
    return _campaign(subject, report, kills, _kill)


def freeze_workers(subject: Customer, *, seed: int, freezes: int) -> Report:
    """Stop a busy worker with SIGSTOP, and continue it with SIGCONT later.

    On PostgreSQL every fourth one sleeps until other workers have recovered its runs: what it
    writes afterwards must have no effect.
    """
    deployment = subject.deployment
    report = Report("freeze of the worker", subject, seed)
    if deployment.is_embedded:
        return _campaign(subject, report, freezes, _freeze)
    watch_writes(deployment)
    _campaign(subject, report, freezes, _freeze)
    written, late = late_writes(deployment)
    report.judged["writes of workers"] = written
    report.violations += late
    return report


def _campaign(subject: Customer, report: Report, blows: int, strike: Blow) -> Report:
    deployment, meta = subject.deployment, subject.caller.meta
    dice = random.Random(f"{report.seed} {report.scenario}")  # noqa: S311 - guards nothing
    world = ChangingWorld(meta, report.seed)
    while report.blows < blows:
        report.changes += world.change(subject.business_ids)
        meta.latency(dice.choice(LATENCIES_SECONDS))
        parent = subject.caller.start_check(subject.integration)
        for _ in range(min(BLOWS_A_CHECK, blows - report.blows)):
            victim = aim(deployment, dice)
            if victim is None:
                break
            strike(deployment, victim, report, dice)
            report.blows += 1
        meta.latency(0.0)
        subject.ended(parent)
        report.judge(parent)
    report.compare_with_undisturbed()
    return report.ended()


def aim(deployment: Deployment, dice: random.Random) -> str | None:
    """Wait for a random moment and return a busy worker; None once there is no work."""
    while True:
        in_hand = deployment.runs_in_hand()
        if not in_hand and not deployment.is_queued():
            return None
        if deployment.workers.keys() & in_hand.keys():
            time.sleep(dice.uniform(0, _LONGEST_AIM_SECONDS))
            if busy := sorted(deployment.workers.keys() & deployment.runs_in_hand().keys()):
                return dice.choice(busy)
        # Otherwise all runs belong to dead workers, until another worker recovers them.
        time.sleep(0.05)


def _kill(deployment: Deployment, victim: str, report: Report, _dice: random.Random) -> None:
    deployment.kill_worker(victim)
    report.moments.update(deployment.runs_in_hand().get(victim, []))
    deployment.start_worker()


def _freeze(deployment: Deployment, victim: str, report: Report, dice: random.Random) -> None:
    process = deployment.workers[victim].process
    process.send_signal(signal.SIGSTOP)
    frozen_at = time.monotonic()
    report.moments.update(deployment.runs_in_hand().get(victim, []))
    if deployment.is_embedded or report.blows % 4:
        time.sleep(dice.uniform(0.5, _SHORT_FREEZE_SECONDS))
        report.notes["woken before another worker took over"] += 1
    else:
        wait_until(
            lambda: deployment.runs_in_hand().get(victim, []),
            lambda runs: not runs,
            seconds=TAKEN_OVER_WITHIN_SECONDS,
        )
        report.measured("from freeze to takeover", time.monotonic() - frozen_at)
        report.notes["woken after others took over"] += 1
    process.send_signal(signal.SIGCONT)
