"""Several workers on one PostgreSQL, which share the work without overlap."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

from tests.survival.customer import Customer
from tests.survival.report import Report

LATENCY_SECONDS = 0.05
MOST_ROUNDS = 30

# First start and last end of a run's steps, by the engine's own clock.
_SPANS = """
SELECT j.partner_id, w.executor_id, min(o.started_at_epoch_ms), max(o.completed_at_epoch_ms)
FROM {engine}workflow_status w
JOIN {engine}operation_outputs o ON o.workflow_uuid = w.workflow_uuid
JOIN sync_jobs j ON w.workflow_uuid = j.task || ':' || j.id || ':' || j.attempt
WHERE j.partner_id IS NOT NULL
GROUP BY j.partner_id, w.executor_id, w.workflow_uuid ORDER BY 1, 3
"""


def check_at_once(subject: Customer, *, seed: int, rounds: int) -> Report:
    """Request checks of the integration and of each partner at once, repeatedly.

    A worker takes all queued runs that it has room for, so another one may get none of a small
    load: more rounds follow until each worker had some.
    """
    report = Report("workers side by side", subject, seed)
    subject.caller.meta.latency(LATENCY_SECONDS)
    with ThreadPoolExecutor(max_workers=8) as customers:
        for turn in range(MOST_ROUNDS):
            if turn >= rounds and all(_done(subject).values()):
                break
            owners = [subject.integration, *subject.partners]
            jobs = list(customers.map(subject.caller.start_check, owners))
            subject.ended(*jobs)
            report.judge(*jobs)
    subject.caller.meta.latency(0.0)
    done = _done(subject)
    report.notes.update({f"runs of worker {n}": count for n, count in enumerate(done.values(), 1)})
    report.violations += [f"idle: {one} did nothing" for one, count in done.items() if not count]
    report.violations += _at_once(subject)
    return report.ended()


def _done(subject: Customer) -> dict[str, int]:
    """Return the number of runs that each worker has started."""
    spans = subject.deployment.rows(_SPANS)
    by_worker = Counter(str(executor) for _, executor, _, _ in spans)
    return {worker: by_worker[worker] for worker in sorted(subject.deployment.workers)}


def _at_once(subject: Customer) -> list[str]:
    return [
        f"at once: two runs of {one}, for {ends - begins} ms"
        for (one, _, _, ends), (other, _, begins, _) in pairwise(subject.deployment.rows(_SPANS))
        if one == other and begins < ends
    ]
