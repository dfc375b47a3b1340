"""Test of the cost model: the cost per partner with few partners and with many.

The model is in `docs/explanation/performance-and-scale.md#scale`. Both are hosts of one running
product: PostgreSQL, one API process and one worker. All values are divided by the number of
partners. CPU time is used where possible, since other load on the machine changes it little.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, fields

import psycopg

from benchmarks.customer import Customer, Json
from benchmarks.fast_graph import calls_so_far, fast_graph
from benchmarks.fast_world import Name, Size, partner_at, token_of
from benchmarks.measure import Goal, Options, Report, Row, report_progress, run
from benchmarks.product import Product, cpu_seconds, peak_mib, product

LIMIT = 1.25
ASSETS, USERS = 6, 8


@dataclass(frozen=True, slots=True)
class Meter:
    """Use of each limited resource so far."""

    seconds: float
    worker_cpu: float
    api_cpu: float
    graph_requests: int
    graph_calls: int
    database_bytes: int
    changes: int

    def since(self, earlier: "Meter", partners: int) -> dict[str, float]:
        """Return the use per partner since an earlier reading."""
        return {
            field.name: (getattr(self, field.name) - getattr(earlier, field.name)) / partners
            for field in fields(self)
        }


@dataclass(frozen=True, slots=True)
class Costs:
    """Costs per partner: of connecting it, and of a check without news."""

    connecting: Mapping[str, float]
    checking: Mapping[str, float]


def measure(options: Options) -> Report:
    """Measure few partners, the base of the model, and then many."""
    sizes = [
        Size(options.size(200, 4), ASSETS, USERS),
        Size(options.size(5_000, 8), ASSETS, USERS),
    ]
    with fast_graph(*sizes) as graph, product("PostgreSQL", graph) as running:
        few, many = (_measure_costs(running, graph, host, size) for host, size in enumerate(sizes))
        peak = peak_mib(running.worker)
    rows = [
        Row(f"{name}, {sizes[at].partners:,} partners: {what}", [used[what] * factor], unit)
        for at, costs in enumerate((few, many))
        for name, used in (("connect", costs.connecting), ("check", costs.checking))
        for what, factor, unit in _SHOWN
    ]
    rows.append(Row("peak of the worker's memory", [peak], "MiB"))
    goals = [
        Goal(f"{name}: {what}, of what the model says", theirs[what] / ours[what], LIMIT)
        for name, ours, theirs in (
            ("check", few.checking, many.checking),
            ("connect", few.connecting, many.connecting),
        )
        for what, _, _ in _SHOWN
        if ours[what]
    ]
    world = (
        f"Each partner has {ASSETS} assets and {USERS} people with access to all of them; "
        "each line is what one partner costs."
    )
    return Report("Scale", world, rows, goals)


_SHOWN = (
    ("seconds", 1000, "ms"),
    ("worker_cpu", 1000, "ms"),
    ("api_cpu", 1000, "ms"),
    ("graph_requests", 1, "requests"),
    ("graph_calls", 1, "calls"),
    ("database_bytes", 1 / 1024, "KiB"),
    ("changes", 1, "rows"),
)


def _measure_costs(running: Product, graph: str, host: int, size: Size) -> Costs:
    customer, business = running.customer(), Name("business", host, 0)
    integration = customer.integrate(business.id, token_of(business))
    known = customer.partners(integration)
    agencies = [partner_at(host, place + 1) for place in range(size.partners)]
    report_progress(f"connecting {size.partners:,} partners")
    before = _meter(running, graph)
    customer.connect((known[agency.id], token_of(agency)) for agency in agencies)
    connected = _meter(running, graph)
    report_progress(f"checking {size.partners:,} partners")
    _check(customer, integration)
    checked = _meter(running, graph)
    return Costs(
        connected.since(before, size.partners),
        checked.since(connected, size.partners),
    )


def _check(customer: Customer, integration: Json) -> None:
    if customer.check(integration).job["counts"]["added"]:
        raise RuntimeError("the check found something new")


def _meter(running: Product, graph: str) -> Meter:
    requests, calls = calls_so_far(graph)
    with psycopg.connect(running.database_url) as connection:
        size, changes = connection.execute(
            "SELECT pg_database_size(current_database()), (SELECT count(*) FROM changes)"
        ).fetchone() or (0, 0)
    return Meter(
        time.perf_counter(),
        cpu_seconds(running.worker),
        cpu_seconds(running.api),
        requests,
        calls,
        size,
        changes,
    )


if __name__ == "__main__":
    run(__doc__, measure)
