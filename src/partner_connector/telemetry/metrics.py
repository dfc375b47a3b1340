"""What a process counts for Prometheus: every name in one place, as `docs/metrics.md` lists them.

One process, one set of numbers: an API process counts requests, a worker jobs and calls of Meta,
an embedded one both. No label holds an id, so that there are as many series as there are kinds.
"""

import time
from functools import partial

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST

CONTENT_TYPE = CONTENT_TYPE_LATEST
REGISTRY = CollectorRegistry()
_PREFIX = "partner_connector"
_ATTEMPT_SECONDS = (0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15)
# What HTTP knows. Anybody may send anything else, and each would be series of its own.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_JOB_SECONDS = (0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14400)

ProcessCollector(namespace=_PREFIX, registry=REGISTRY)
_counter = partial(Counter, namespace=_PREFIX, registry=REGISTRY)
_gauge = partial(Gauge, namespace=_PREFIX, registry=REGISTRY)
_histogram = partial(Histogram, namespace=_PREFIX, registry=REGISTRY)

HTTP_REQUESTS = _counter(
    "http_requests", "Requests that were answered.", ("method", "route", "status")
)
HTTP_SECONDS = _histogram(
    "http_request_duration_seconds",
    "How long an answer took, to the last byte; what `Prefer: wait` held is in it.",
    ("method", "route"),
)
SYNC_JOBS_ENDED = _counter(
    "sync_jobs_ended", "Sync jobs that came to an end in this process.", ("task", "status")
)
SYNC_JOB_SECONDS = _histogram(
    "sync_job_duration_seconds",
    "From the job's start to its end, waiting included.",
    ("task",),
    buckets=_JOB_SECONDS,
)
SYNC_JOBS = _gauge("sync_jobs", "Sync jobs of the deployment that are not done.", ("status",))
OLDEST_QUEUED = _gauge(
    "oldest_queued_sync_job_age_seconds",
    "For how long the first sync job in the queue has been there; 0 where none is.",
)
TOKENS = _gauge("tokens", "Active tokens of the deployment.", ("health",))
DATABASE_UP = _gauge("database_up", "Whether the last look at the database worked.")
PERIODIC_RUNS = _counter(
    "periodic_runs",
    "Runs of the tasks that a process repeats: `ok` or `failed`.",
    ("task", "outcome"),
)
GRAPH_REQUESTS = _counter(
    "graph_requests", "Requests to Meta's Graph API: `ok`, or the class of the error.", ("outcome",)
)
GRAPH_THROTTLES = _counter(
    "graph_throttles",
    "How often Meta refused a read for a limit, by what the limit is set on; also within batches.",
    ("limit",),
)
GRAPH_BUDGET = _gauge(
    "graph_budget_used_percent",
    "The fullest of Meta's limits of each kind, where any is used by three quarters or more.",
    ("limit",),
)
GRAPH_BUDGETS_BLOCKED = _gauge(
    "graph_budgets_blocked", "How many of Meta's limits let nothing through now."
)
GRAPH_CALLS_AT_ONCE = _gauge(
    "graph_calls_at_once", "How many calls this worker may have under way now."
)

WEBHOOK_EVENTS_WAITING = _gauge(
    "webhook_events_waiting", "Events of the deployment that no worker has given their place yet."
)
OLDEST_WEBHOOK_EVENT = _gauge(
    "oldest_waiting_webhook_event_age_seconds",
    "For how long the first of them has been there; 0 where none is.",
)
WEBHOOK_DELIVERIES_PENDING = _gauge(
    "webhook_deliveries_pending",
    "Messages of the deployment that have not arrived yet, to endpoints that are enabled.",
)
OLDEST_WEBHOOK_DELIVERY = _gauge(
    "oldest_pending_webhook_delivery_age_seconds",
    "For how long the first of an endpoint and partner has been tried, at most; 0 where none is.",
)
WEBHOOK_ATTEMPTS = _counter(
    "webhook_attempts",
    "Attempts to deliver a message: `delivered`, or what went wrong.",
    ("outcome",),
)
WEBHOOK_SECONDS = _histogram(
    "webhook_attempt_duration_seconds",
    "How long an attempt took, whatever came of it.",
    buckets=_ATTEMPT_SECONDS,
)
WEBHOOKS_DEAD_LETTERED = _counter(
    "webhook_deliveries_dead_lettered", "Messages that were given up."
)


def exposition() -> bytes:
    """All of it, in Prometheus' text format."""
    return generate_latest(REGISTRY)


def known_method(method: str) -> str:
    """The method, or `other` for what somebody made up."""
    return method if method in _METHODS else "other"


def observe_request(method: str, route: str, status: int, began: float) -> None:
    """One answered request. `began` as `time.perf_counter` told; status 0: cut off."""
    method = known_method(method)
    HTTP_REQUESTS.labels(method, route, str(status)).inc()
    HTTP_SECONDS.labels(method, route).observe(time.perf_counter() - began)


def observe_webhook_attempt(outcome: str, began: float) -> None:
    """One attempt to deliver a message. `began` as `time.perf_counter` told."""
    WEBHOOK_ATTEMPTS.labels(outcome).inc()
    WEBHOOK_SECONDS.observe(time.perf_counter() - began)
