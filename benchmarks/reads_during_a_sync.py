"""Time to read a list while the same process syncs a big partner.

One process on SQLite serves the API and runs the worker. A client reads a page of users of another
workspace every ten milliseconds. Times without and with a sync are measured in turn.
"""

import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from benchmarks.cost_per_grant import connected
from benchmarks.customer import Customer
from benchmarks.fast_graph import fast_graph, show_people
from benchmarks.fast_world import Size
from benchmarks.measure import Goal, Options, Report, Row, report_progress, run
from benchmarks.product import product

MAX_RATIO_IDLE = 3.0
PAGE = "/v1/partner-users"
EVERY_SECONDS = 0.01


@dataclass(slots=True)
class Reads:
    """Times of all reads of one period, in milliseconds."""

    times: list[float] = field(default_factory=list)

    def percentile(self, percent: int) -> float:
        return statistics.quantiles(self.times, n=100, method="inclusive")[percent - 1]


def measure(options: Options) -> Report:
    """Measure idle and syncing in turn."""
    size = Size(1, assets=options.size(100, 8), users=options.size(1000, 50))
    idle: list[Reads] = []
    busy: list[Reads] = []
    with fast_graph(size) as graph, product("SQLite", graph) as running:
        reader, customer = running.customer(), running.customer()
        _, partner = connected(reader, graph)
        reader.check(partner)
        for round_number in range(options.repeat):
            integration, partner = connected(customer, graph)
            with _reading(reader) as idle_reads:
                time.sleep(options.size(5, 1))
            with _reading(reader) as busy_reads:
                check = customer.check(partner)
            customer.delete(integration)
            show_people(graph, shown=True)
            idle.append(idle_reads)
            busy.append(busy_reads)
            report_progress(
                f"{round_number + 1}/{options.repeat} p99 {idle_reads.percentile(99):.1f} ms idle, "
                f"{busy_reads.percentile(99):.1f} ms in a sync of {check.seconds:.1f} s"
            )
    rows = [
        Row(f"p{percent}, {when}", [reads.percentile(percent) for reads in many], "ms")
        for percent in (50, 99)
        for when, many in (("idle", idle), ("during a sync", busy))
    ]
    rows.append(Row("slowest, during a sync", [max(reads.times) for reads in busy], "ms"))
    world = (
        f"GET {PAGE}?page_size=25 every {EVERY_SECONDS * 1000:.0f} ms, "
        f"while {size.grants:,} new grants are synced."
    )
    ratio = Goal("p99 during a sync / idle", rows[3].median / rows[2].median, MAX_RATIO_IDLE)
    return Report("Reads during a sync", world, rows, [ratio])


@contextmanager
def _reading(reader: Customer) -> Iterator[Reads]:
    """Read a page every `EVERY_SECONDS` in a thread until the block ends."""
    reads, stop = Reads(), threading.Event()
    failures: list[Exception] = []

    def read() -> None:
        try:
            while not stop.is_set():
                began = time.perf_counter()
                reader.get(PAGE, page_size=25)
                took = time.perf_counter() - began
                reads.times.append(took * 1000)
                stop.wait(max(0.0, EVERY_SECONDS - took))
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield reads
    finally:
        stop.set()
        thread.join()
    if failures:
        raise failures[0]


if __name__ == "__main__":
    run(__doc__, measure)
