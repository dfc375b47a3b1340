"""One partner with a million grants: memory stays flat, and a check without news is cheap.

The peak is of the worker's whole process, on SQLite of the one process that also serves the API.
Each check runs in a process that has done nothing before, next to one of ten thousand grants.
"""

from dataclasses import dataclass

from benchmarks.bare_driver import count_changes
from benchmarks.cost_per_grant import connected
from benchmarks.fast_graph import fast_graph
from benchmarks.fast_world import Size
from benchmarks.measure import Goal, Options, Report, Row, run, tell
from benchmarks.product import DATABASES, product

MOST_MIB = 200
MOST_GROWTH = 1.2
MOST_OF_FIRST = 0.5


@dataclass(frozen=True, slots=True)
class Found:
    """Of one process: its first check, a second one that finds nothing new, and its memory."""

    first: float
    again: float
    peak: float
    new_changes: int


def measure(options: Options) -> Report:
    """Small and big in turn, on each database."""
    small = Size(1, options.size(100, 4), options.size(100, 10))
    big = Size(1, options.size(1000, 8), options.size(1000, 20))
    found: dict[tuple[str, Size], list[Found]] = {}
    for lap in range(options.repeat):
        for database in DATABASES:
            for size in (small, big):
                one = _check_twice(database, size)
                found.setdefault((database, size), []).append(one)
                tell(f"{lap + 1}/{options.repeat} {database}, {size.grants:,} grants: {one}")
    rows, goals = [], []
    for database in DATABASES:
        little, much = found[database, small], found[database, big]
        peaks = [
            Row(f"{database}, peak memory, {size.grants:,} grants", [f.peak for f in many], "MiB")
            for size, many in ((small, little), (big, much))
        ]
        first = Row(f"{database}, {big.grants:,} grants, first check", [f.first for f in much], "s")
        again = Row(f"{database}, {big.grants:,} grants, no news", [f.again for f in much], "s")
        rows += [*peaks, first, again]
        goals += [
            Goal(f"no news / first check, {database}", again.median / first.median, MOST_OF_FIRST),
            Goal(f"peak memory, {database}", peaks[1].median, MOST_MIB, "MiB"),
            Goal(
                f"peak, {big.grants:,} / {small.grants:,} grants, {database}",
                peaks[1].median / peaks[0].median,
                MOST_GROWTH,
            ),
            Goal(
                f"changes written without news, {database}",
                max(f.new_changes for f in much),
                0,
                "rows",
            ),
        ]
    world = (
        f"One partner, {big.assets} assets, each with all {big.users} people: {big.grants:,} "
        f"grants; the small one has {small.assets} and {small.users}."
    )
    return Report("One big partner", world, rows, goals)


def _check_twice(database: str, size: Size) -> Found:
    with fast_graph(size) as graph, product(database, graph) as running:
        customer = running.customer()
        _, partner = connected(customer, graph)
        first = customer.check(partner)
        changes = count_changes(running.database_url)
        again = customer.check(partner)
        new_changes = count_changes(running.database_url) - changes
        return Found(first.working_seconds, again.working_seconds, running.peak_mib(), new_changes)


if __name__ == "__main__":
    run(__doc__, measure)
