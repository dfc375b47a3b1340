"""Kills of the API between a request and its response."""

import random
import time
from concurrent.futures import Future, ThreadPoolExecutor

import httpx

from tests.journey.meta import Json
from tests.survival.customer import Customer
from tests.survival.report import Report

# Longer than a request takes, so that kills hit moments before, in and after it.
_LONGEST_AIM_SECONDS = 0.015
# The job must be unfinished when the request is repeated, however slowly the API starts.
LATENCY_SECONDS = 2.0


def kill_api(subject: Customer, *, seed: int, kills: int) -> Report:
    """Kill the API with -9 during a request for a check.

    There is one job or none, and a repeated request gets that one job.
    """
    report = Report("kill -9 of the API", subject, seed)
    dice = random.Random(f"{seed} api")  # noqa: S311 - guards nothing
    with ThreadPoolExecutor(max_workers=1) as background:
        while report.blows < kills:
            subject.caller.meta.latency(LATENCY_SECONDS)
            partner = dice.choice(subject.partners)
            before = _jobs_of_all_time(subject)
            asked = background.submit(subject.caller.start_check, partner)
            time.sleep(dice.uniform(0, _LONGEST_AIM_SECONDS))
            subject.deployment.api.kill()
            report.blows += 1
            made = _jobs_of_all_time(subject) - before
            report.notes[f"{made} made, {_answer(asked)}"] += 1
            subject.deployment.start_api()
            if made > 1:
                report.violations.append(f"job twice: {made} jobs of one request")
            _ask_again(subject, report, partner, before)
    return report.ended()


def _answer(asked: Future[Json]) -> str:
    try:
        asked.result(timeout=30)
    except httpx.TransportError:
        return "no answer"
    return "answered"


def _ask_again(subject: Customer, report: Report, partner: Json, before: int) -> None:
    """Repeat the request twice; assert that both responses have the one job."""
    jobs = [subject.caller.start_check(partner) for _ in range(2)]
    if len({job["id"] for job in jobs}) != 1:
        report.violations.append(f"job twice: asked again, {jobs}")
    subject.caller.meta.latency(0.0)
    subject.ended(jobs[0])
    if (made := _jobs_of_all_time(subject) - before) != 1:
        report.violations.append(f"job twice: {made} jobs after asking again")
    report.judge(jobs[0])


def _jobs_of_all_time(subject: Customer) -> int:
    count: int = subject.deployment.rows("SELECT count(*) FROM sync_jobs")[0][0]
    return count
