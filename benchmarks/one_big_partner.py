"""Memory and time for a partner with a million grants, compared with ten thousand.

Goals: memory stays flat, and a check without news is cheap. The peak is that of the worker process;
on SQLite this process also serves the API. Each measurement starts with a new process.
"""

from dataclasses import dataclass

from benchmarks.bare_driver import count_changes
from benchmarks.cost_per_grant import connected
from benchmarks.fast_graph import fast_graph
from benchmarks.fast_world import Size
from benchmarks.measure import Goal, Options, Report, Row, report_progress, run
from benchmarks.product import DATABASES, product

MAX_MIB = 200
MAX_GROWTH = 1.2
MAX_RATIO_FIRST = 0.5


@dataclass(frozen=True, slots=True)
class Measurement:
    """Seconds of the first check and of one without news, peak MiB, and new change rows."""

    first: float
    again: float
    peak: float
    new_changes: int


def measure(options: Options) -> Report:
    """Measure small and big in turn, on each database."""
    small = Size(1, options.size(100, 4), options.size(100, 10))
    big = Size(1, options.size(1000, 8), options.size(1000, 20))
    found: dict[tuple[str, Size], list[Measurement]] = {}
    for round_number in range(options.repeat):
        for database in DATABASES:
            for size in (small, big):
                one = _check_twice(database, size)
                found.setdefault((database, size), []).append(one)
                report_progress(
                    f"{round_number + 1}/{options.repeat} {database}, {size.grants:,} grants: {one}"
                )
    rows, goals = [], []
    for database in DATABASES:
        of_small, of_big = found[database, small], found[database, big]
        peaks = [
            Row(f"{database}, peak memory, {size.grants:,} grants", [f.peak for f in many], "MiB")
            for size, many in ((small, of_small), (big, of_big))
        ]
        first = Row(
            f"{database}, {big.grants:,} grants, first check", [f.first for f in of_big], "s"
        )
        again = Row(f"{database}, {big.grants:,} grants, no news", [f.again for f in of_big], "s")
        rows += [*peaks, first, again]
        goals += [
            Goal(
                f"no news / first check, {database}", again.median / first.median, MAX_RATIO_FIRST
            ),
            Goal(f"peak memory, {database}", peaks[1].median, MAX_MIB, "MiB"),
            Goal(
                f"peak, {big.grants:,} / {small.grants:,} grants, {database}",
                peaks[1].median / peaks[0].median,
                MAX_GROWTH,
            ),
            Goal(
                f"changes written without news, {database}",
                max(f.new_changes for f in of_big),
                0,
                "rows",
            ),
        ]
    world = (
        f"One partner, {big.assets} assets, each with all {big.users} people: {big.grants:,} "
        f"grants; the small one has {small.assets} and {small.users}."
    )
    return Report("One big partner", world, rows, goals)


def _check_twice(database: str, size: Size) -> Measurement:
    with fast_graph(size) as graph, product(database, graph) as running:
        customer = running.customer()
        _, partner = connected(customer, graph)
        first = customer.check(partner)
        changes = count_changes(running.database_url)
        again = customer.check(partner)
        new_changes = count_changes(running.database_url) - changes
        return Measurement(
            first.working_seconds, again.working_seconds, running.peak_mib(), new_changes
        )


if __name__ == "__main__":
    run(__doc__, measure)
