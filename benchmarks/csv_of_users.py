"""All partner users as CSV: the serving process keeps no more of a million than of ten thousand.

The peak is the kernel's `VmHWM` of the process that serves. A file of each size is asked for from a
process that has done nothing before, but that has the rows of both in its database.
"""

import asyncio
import time
from dataclasses import dataclass

import httpx

from benchmarks.many_users import store_users
from benchmarks.measure import Goal, Options, Report, Row, run, tell
from benchmarks.product import DATABASES, Product, peak_mib, product
from partner_connector.ids import new_id
from tests.support.processes import api_process

MOST_GROWTH = 1.1
LEAST_PACE = 0.8
_NO_META = "http://127.0.0.1:9"


@dataclass(frozen=True, slots=True)
class Found:
    """Of one file."""

    rows_a_second: float
    peak: float


def measure(options: Options) -> Report:
    """Small and big in turn, on each database."""
    sizes = (options.size(10_000, 1_000), options.size(1_000_000, 20_000))
    table: list[Row] = []
    goals: list[Goal] = []
    for database in DATABASES:
        with product(database, _NO_META) as running:
            little, much = _in_turn(running, sizes, options.repeat)
        peaks = [
            Row(f"{database}, peak memory, {size:,} rows", [each.peak for each in found], "MiB")
            for size, found in zip(sizes, (little, much), strict=True)
        ]
        paces = [
            Row(f"{database}, {size:,} rows", [each.rows_a_second for each in found], "rows/s")
            for size, found in zip(sizes, (little, much), strict=True)
        ]
        table += [*peaks, *paces]
        names = f"{sizes[1]:,} / {sizes[0]:,} rows, {database}"
        grown = peaks[1].median / peaks[0].median
        pace = paces[1].median / paces[0].median
        goals += [
            Goal(f"peak, {names}", grown, MOST_GROWTH),
            Goal(f"rows/s, {names}", pace, LEAST_PACE, at_least=True),
        ]
    world = "GET /v1/partner-users with Accept: text/csv; two workspaces in one database."
    return Report("CSV of all partner users", world, table, goals)


def _in_turn(running: Product, sizes: tuple[int, int], repeat: int) -> list[list[Found]]:
    keys = [_fill(running, size) for size in sizes]
    found: list[list[Found]] = [[] for _ in sizes]
    for lap in range(repeat):
        for place, (size, key) in enumerate(zip(sizes, keys, strict=True)):
            found[place].append(_take(running, size, key))
            tell(f"{lap + 1}/{repeat} {size:,} rows: {found[place][-1]}")
    return found


def _take(running: Product, size: int, key: str) -> Found:
    """From an API process of its own, as fast as it comes."""
    headers = {"Authorization": f"Bearer {key}", "Accept": "text/csv"}
    with (
        api_process(running.api_settings, running.directory, name=_new_name()) as api,
        httpx.Client(base_url=api.url, headers=headers, trust_env=False, timeout=120) as client,
    ):
        began, ends = time.perf_counter(), 0
        with client.stream("GET", "/v1/partner-users") as answer:
            answer.raise_for_status()
            for piece in answer.iter_raw():
                # No cell has a line's end in it, and a piece may end between its two characters.
                ends += piece.count(b"\n")
        seconds = time.perf_counter() - began
        if ends != size + 1:
            raise RuntimeError(f"{ends} lines of {size} rows")
        return Found(size / seconds, peak_mib(api))


def _new_name() -> str:
    """For a log of its own: an older one tells where the process before it listened."""
    return f"export-{new_id().hex}"


def _fill(running: Product, size: int) -> str:
    """A workspace with so many users; answers its key."""
    workspace_id, key = running.tenant()
    asyncio.run(store_users(running.database_url, workspace_id, size))
    return key


if __name__ == "__main__":
    run(__doc__, measure)
