"""A database that is killed, locked or full in the middle of a check."""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from tests.journey import truth
from tests.journey.meta import Json
from tests.survival import disk
from tests.survival.customer import Customer
from tests.survival.deployment import Deployment
from tests.survival.kills import LATENCIES_SECONDS, aim
from tests.survival.postgres import OwnPostgres
from tests.survival.report import Report
from tests.survival.world import ChangingWorld

_LONGEST_RESTART_SECONDS = 4.0
_HOLD_SQLITE = """
import sqlite3, sys
file = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
file.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
file.execute("ROLLBACK")
"""


def restart_postgres(
    subject: Customer, postgres: OwnPostgres, *, seed: int, restarts: int
) -> Report:
    """Shut the server down immediately or kill it during a check, and start it again."""
    report = Report("PostgreSQL killed", subject, seed)
    for hit in _checks_hit(subject, report, restarts):
        how = hit.dice.choice((signal.SIGQUIT, signal.SIGKILL))
        postgres.kill(how)
        time.sleep(hit.dice.uniform(0, _LONGEST_RESTART_SECONDS))
        postgres.start()
        report.notes[how.name] += 1
        _ends_well(subject, report, hit.parent)
    return report.ended()


def lock_database(subject: Customer, *, seed: int, seconds: list[float]) -> Report:
    """Hold the lock that our writes need from another connection, for so many seconds."""
    report = Report("database locked", subject, seed)
    for hit in _checks_hit(subject, report, len(seconds)):
        with _locked(subject.deployment):
            held = seconds[report.blows - 1]
            time.sleep(held * hit.dice.uniform(0.9, 1.1))
        report.notes[f"held for about {held:.0f} s"] += 1
        _ends_well(subject, report, hit.parent)
    return report.ended()


def fill_disk(subject: Customer, *, seed: int, seconds: list[float]) -> Report:
    """Refuse writes for so many seconds during a check.

    Meanwhile each partner is shown as before the check or as after it, never in between. A job that
    has failed has its reason, and can be started again.
    """
    report = Report("disk full", subject, seed)
    for hit in _checks_hit(subject, report, len(seconds)):
        with disk.full(subject.deployment, hit.dice):
            time.sleep(seconds[report.blows - 1])
            report.violations += _half_applied(subject, hit.before)
        _note_states(subject, report, hit.parent)
        _ends_well(subject, report, hit.parent)
    return report.ended()


@dataclass(frozen=True, slots=True)
class Hit:
    """Check in the middle of its work, and the state of Meta before it."""

    dice: random.Random
    parent: Json
    before: dict[str, Json]


def _checks_hit(subject: Customer, report: Report, blows: int) -> Iterator[Hit]:
    """Yield `blows` checks, each at a random moment of its work."""
    dice = random.Random(f"{report.seed} {report.scenario}")  # noqa: S311 - guards nothing
    world = ChangingWorld(subject.caller.meta, report.seed)
    while report.blows < blows:
        before = _truths(subject)
        report.changes += world.change(subject.business_ids)
        subject.caller.meta.latency(dice.choice(LATENCIES_SECONDS))
        parent = subject.caller.start_check(subject.integration)
        if aim(subject.deployment, dice) is None:
            # The check ended before it could be hit.
            subject.ended(parent)
            report.judge(parent)
            continue
        for steps in subject.deployment.runs_in_hand().values():
            report.moments.update(steps)
        report.blows += 1
        yield Hit(dice, parent, before)


def _ends_well(subject: Customer, report: Report, parent: Json) -> None:
    """Assert that the check ends by itself; steps may have been retried."""
    subject.caller.meta.latency(0.0)
    began = time.monotonic()
    subject.ended(parent)
    report.measured("from the end of the outage to the end of the check", time.monotonic() - began)
    if subject.caller.job(parent)["status"] == "failed":
        given_up = subject.with_children(parent)
        subject.add_known_jobs(given_up)
        for job in given_up:
            if job["error"] is not None:
                report.notes[f"jobs that gave up with {job['error']['code']}"] += 1
        subject.ended(parent := subject.caller.start_check(subject.integration))
    report.judge(parent, first_attempt_only=False)


def _note_states(subject: Customer, report: Report, parent: Json) -> None:
    for job in subject.with_children(parent):
        report.notes[f"jobs {job['status']} at the end of the outage"] += 1


def _truths(subject: Customer) -> dict[str, Json]:
    known = subject.caller.meta.partners()
    return {business_id: truth.users(known[business_id]) for business_id in subject.business_ids}


def _half_applied(subject: Customer, before: dict[str, Json]) -> list[str]:
    after = _truths(subject)
    return [
        f"half applied: {partner['name']}"
        for partner in subject.partners
        if truth.shown_users(subject.caller.users(partner))
        not in (before[partner["meta_business_id"]], after[partner["meta_business_id"]])
    ]


@contextmanager
def _locked(deployment: Deployment) -> Iterator[None]:
    if deployment.database_url is not None:
        with psycopg.connect(deployment.database_url) as server:
            server.execute("LOCK TABLE sync_jobs, staged_users, partner_users IN EXCLUSIVE MODE")
            yield
        return
    command = [sys.executable, "-c", _HOLD_SQLITE, str(deployment.sqlite_file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == b"held\n"
        yield
        holder.stdin.close()
