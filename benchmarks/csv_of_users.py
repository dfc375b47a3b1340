"""Memory and speed of the CSV export: a million partner users compared with ten thousand.

The peak is the kernel's `VmHWM` of the API process. Each file comes from a new process, whose
database has the rows of both sizes.
"""

import asyncio
import time
from dataclasses import dataclass

import httpx

from benchmarks.many_users import store_users
from benchmarks.measure import Goal, Options, Report, Row, report_progress, run
from benchmarks.product import DATABASES, Product, peak_mib, product
from partner_connector.ids import new_id
from tests.support.processes import api_process

MAX_GROWTH = 1.1
MIN_SPEED = 0.8
_NO_META = "http://127.0.0.1:9"


@dataclass(frozen=True, slots=True)
class Measurement:
    """Speed of one export, and the peak memory of its process in MiB."""

    rows_a_second: float
    peak: float


def measure(options: Options) -> Report:
    """Measure small and big in turn, on each database."""
    sizes = (options.size(10_000, 1_000), options.size(1_000_000, 20_000))
    table: list[Row] = []
    goals: list[Goal] = []
    for database in DATABASES:
        with product(database, _NO_META) as running:
            of_small, of_big = _in_turn(running, sizes, options.repeat)
        peaks = [
            Row(
                f"{database}, peak memory, {size:,} rows",
                [each.peak for each in measurements],
                "MiB",
            )
            for size, measurements in zip(sizes, (of_small, of_big), strict=True)
        ]
        speeds = [
            Row(
                f"{database}, {size:,} rows",
                [each.rows_a_second for each in measurements],
                "rows/s",
            )
            for size, measurements in zip(sizes, (of_small, of_big), strict=True)
        ]
        table += [*peaks, *speeds]
        names = f"{sizes[1]:,} / {sizes[0]:,} rows, {database}"
        growth = peaks[1].median / peaks[0].median
        speed = speeds[1].median / speeds[0].median
        goals += [
            Goal(f"peak, {names}", growth, MAX_GROWTH),
            Goal(f"rows/s, {names}", speed, MIN_SPEED, at_least=True),
        ]
    world = "GET /v1/partner-users with Accept: text/csv; two workspaces in one database."
    return Report("CSV of all partner users", world, table, goals)


def _in_turn(running: Product, sizes: tuple[int, int], repeat: int) -> list[list[Measurement]]:
    keys = [_create_users(running, size) for size in sizes]
    measurements: list[list[Measurement]] = [[] for _ in sizes]
    for round_number in range(repeat):
        for place, (size, key) in enumerate(zip(sizes, keys, strict=True)):
            measurements[place].append(_measure_export(running, size, key))
            report_progress(f"{round_number + 1}/{repeat} {size:,} rows: {measurements[place][-1]}")
    return measurements


def _measure_export(running: Product, size: int, key: str) -> Measurement:
    """Download one file from a new API process. Raises `RuntimeError` for a wrong row count."""
    headers = {"Authorization": f"Bearer {key}", "Accept": "text/csv"}
    with (
        api_process(running.api_settings, running.directory, name=_new_name()) as api,
        httpx.Client(base_url=api.url, headers=headers, trust_env=False, timeout=120) as client,
    ):
        began, lines = time.perf_counter(), 0
        with client.stream("GET", "/v1/partner-users") as answer:
            answer.raise_for_status()
            for chunk in answer.iter_raw():
                # Count line feeds: no cell has one, and a chunk may end inside CR LF.
                lines += chunk.count(b"\n")
        seconds = time.perf_counter() - began
        if lines != size + 1:
            raise RuntimeError(f"{lines} lines for {size} rows")
        return Measurement(size / seconds, peak_mib(api))


def _new_name() -> str:
    """Return a new log name: an older log contains the address of the previous process."""
    return f"export-{new_id().hex}"


def _create_users(running: Product, size: int) -> str:
    """Create a workspace with this number of users, and return its API key."""
    workspace_id, key = running.new_workspace()
    asyncio.run(store_users(running.database_url, workspace_id, size))
    return key


if __name__ == "__main__":
    run(__doc__, measure)
