"""Metrics and traces of the requests to Meta and of the rate-limit budgets."""

import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from partner_connector.graph import GraphClient
from partner_connector.telemetry import metrics, tracing

POLL_SECONDS = 5.0
# Kind of a limit that Meta sets on one object under a business use case.
_BUSINESS_USE_CASE = "business_use_case"
_EDGE = re.compile(r"[a-z_]+")
_KINDS = ("app", "token", "ad_account", "page", "catalog", _BUSINESS_USE_CASE)


@contextmanager
def instrument_request(edge: str, reads: int) -> Iterator[Callable[[str], None]]:
    """Trace one request to Meta. Yield a function that records `ok` or the class of the error."""
    # A read of an object by its id has no edge.
    name = edge if _EDGE.fullmatch(edge) else "object"
    with tracing.span(f"graph {name}", tracing.CLIENT, edge=name, reads=reads) as span:

        def record(outcome: str) -> None:
            metrics.GRAPH_REQUESTS.labels(outcome).inc()
            span.set_attribute("outcome", outcome)

        yield record


def count_throttle(limit: str) -> None:
    """Count one read that Meta refused because of a rate limit."""
    metrics.GRAPH_THROTTLES.labels(limit).inc()


async def update_gauges(graph: GraphClient) -> None:
    """Update the gauges of the rate-limit budgets."""
    at = time.time()
    fullest: dict[str, float] = defaultdict(float)
    for key, budget in graph.budgets.items():
        kind = _kind(key)
        fullest[kind] = max(fullest[kind], budget.percent_at(at))
    for kind in _KINDS:
        metrics.GRAPH_BUDGET.labels(kind).set(fullest[kind])
    blocked = sum(budget.wait_at(at) is not None for budget in graph.budgets.values())
    metrics.GRAPH_BUDGETS_BLOCKED.set(blocked)
    metrics.GRAPH_CALLS_AT_ONCE.set(graph.calls_at_once)


def _kind(key: str) -> str:
    kind = key.partition(":")[0]
    if kind == "reader":
        return "token"
    return kind if kind in _KINDS else _BUSINESS_USE_CASE
