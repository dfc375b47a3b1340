"""How the worker stands with Meta, for `/metrics` and traces."""

import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from partner_connector.graph import GraphClient
from partner_connector.telemetry import metrics, tracing

LOOK_SECONDS = 5.0
# An object's own limit of some kind, as Meta's answers name it.
_BUSINESS_USE_CASE = "business_use_case"
_EDGE = re.compile(r"[a-z_]+")
_KINDS = ("app", "token", "ad_account", "page", "catalog", _BUSINESS_USE_CASE)


@contextmanager
def watched(edge: str, reads: int) -> Iterator[Callable[[str], None]]:
    """One request to Meta, to be told of its outcome: `ok`, or the class of its error."""
    # What is read by its id alone has no edge.
    name = edge if _EDGE.fullmatch(edge) else "object"
    with tracing.span(f"graph {name}", tracing.CLIENT, edge=name, reads=reads) as span:

        def came(outcome: str) -> None:
            metrics.GRAPH_REQUESTS.labels(outcome).inc()
            span.set_attribute("outcome", outcome)

        yield came


def count_throttle(limit: str) -> None:
    """One read that Meta refused for a limit."""
    metrics.GRAPH_THROTTLES.labels(limit).inc()


async def look(graph: GraphClient) -> None:
    """Bring the gauges up to date."""
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
