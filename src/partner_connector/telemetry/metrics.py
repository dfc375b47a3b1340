"""Prometheus metrics of a process; `docs/reference/metrics-and-logs.md` lists them.

An API process counts requests, a worker counts jobs and calls to Meta, and an API process with an
embedded worker counts both. No label holds an id, so that the number of series stays small.
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
# Standard methods of HTTP. A client may send any other name, and each would add new series.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_JOB_SECONDS = (0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14400)

ProcessCollector(namespace=_PREFIX, registry=REGISTRY)
_counter = partial(Counter, namespace=_PREFIX, registry=REGISTRY)
_gauge = partial(Gauge, namespace=_PREFIX, registry=REGISTRY)
_histogram = partial(Histogram, namespace=_PREFIX, registry=REGISTRY)

HTTP_REQUESTS = _counter(
    "http_requests", "HTTP requests that the process has answered.", ("method", "route", "status")
)
HTTP_SECONDS = _histogram(
    "http_request_duration_seconds",
    "Seconds from a request to the last byte of its response, with the wait of `Prefer: wait`.",
    ("method", "route"),
)
SYNC_JOBS_ENDED = _counter(
    "sync_jobs_ended", "Sync jobs that ended in this process.", ("task", "status")
)
SYNC_JOB_SECONDS = _histogram(
    "sync_job_duration_seconds",
    "Seconds from the start of a sync job to its end, including waits.",
    ("task",),
    buckets=_JOB_SECONDS,
)
SYNC_JOBS = _gauge("sync_jobs", "Sync jobs of the deployment that have not ended.", ("status",))
OLDEST_QUEUED = _gauge(
    "oldest_queued_sync_job_age_seconds",
    "Seconds that the oldest sync job has been in the queue; 0 if the queue is empty.",
)
TOKENS = _gauge("tokens", "Active tokens of the deployment, by health.", ("health",))
DATABASE_UP = _gauge("database_up", "1 if the last check of the database succeeded, else 0.")
PERIODIC_RUNS = _counter(
    "periodic_runs",
    "Runs of periodic tasks of this process; outcome `ok` or `failed`.",
    ("task", "outcome"),
)
GRAPH_REQUESTS = _counter(
    "graph_requests",
    "Requests to Meta's Graph API; outcome `ok` or the class of the error.",
    ("outcome",),
)
GRAPH_THROTTLES = _counter(
    "graph_throttles",
    "Reads that Meta refused because of a rate limit, also in batches, by kind of limit.",
    ("limit",),
)
GRAPH_BUDGET = _gauge(
    "graph_budget_used_percent",
    "Highest usage of Meta's rate limits of each kind, in percent, if one is at 75 or more.",
    ("limit",),
)
GRAPH_BUDGETS_BLOCKED = _gauge(
    "graph_budgets_blocked", "Rate limits of Meta that block all calls now."
)
GRAPH_CALLS_AT_ONCE = _gauge(
    "graph_calls_at_once", "Calls to Meta that this worker may make at the same time now."
)

WEBHOOK_EVENTS_WAITING = _gauge(
    "webhook_events_waiting", "Webhook events of the deployment that wait to be fanned out."
)
OLDEST_WEBHOOK_EVENT = _gauge(
    "oldest_waiting_webhook_event_age_seconds",
    "Seconds that the oldest webhook event has waited to be fanned out; 0 if none waits.",
)
WEBHOOK_DELIVERIES_PENDING = _gauge(
    "webhook_deliveries_pending",
    "Pending webhook deliveries of the deployment to enabled endpoints.",
)
OLDEST_WEBHOOK_DELIVERY = _gauge(
    "oldest_pending_webhook_delivery_age_seconds",
    "Longest time in seconds that the first delivery of a queue has been tried; 0 if none is.",
)
WEBHOOK_ATTEMPTS = _counter(
    "webhook_attempts",
    "Attempts to deliver a webhook message; outcome `delivered` or the error.",
    ("outcome",),
)
WEBHOOK_SECONDS = _histogram(
    "webhook_attempt_duration_seconds",
    "Seconds that an attempt to deliver a webhook message took, with any outcome.",
    buckets=_ATTEMPT_SECONDS,
)
WEBHOOKS_DEAD_LETTERED = _counter(
    "webhook_deliveries_dead_lettered", "Webhook deliveries that were given up."
)


def exposition() -> bytes:
    """Return all metrics in Prometheus' text format."""
    return generate_latest(REGISTRY)


def known_method(method: str) -> str:
    """Return the method, or `other` if it is not a standard method."""
    return method if method in _METHODS else "other"


def observe_request(method: str, route: str, status: int, began: float) -> None:
    """Count one request. `began` is a value of `time.perf_counter`; status 0 means cut off."""
    method = known_method(method)
    HTTP_REQUESTS.labels(method, route, str(status)).inc()
    HTTP_SECONDS.labels(method, route).observe(time.perf_counter() - began)


def observe_webhook_attempt(outcome: str, began: float) -> None:
    """Count one attempt to deliver a message. `began` is a value of `time.perf_counter`."""
    WEBHOOK_ATTEMPTS.labels(outcome).inc()
    WEBHOOK_SECONDS.observe(time.perf_counter() - began)
