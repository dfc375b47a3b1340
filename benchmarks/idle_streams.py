"""Cost of clients that follow a job without news.

Two hundred streams of `GET /v1/sync-jobs/{id}/events` are open at one API process while nothing
happens. Its CPU and memory are compared with those for a single stream.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from pydantic import SecretStr

from benchmarks.measure import Goal, Options, Report, Row, report_progress, run
from benchmarks.product import DATABASES, Product, cpu_seconds, memory_mib, product
from partner_connector.db.engine import open_database
from partner_connector.ids import decode, encode
from partner_connector.settings import without_environment
from tests.api import rows
from tests.support.processes import Running, api_process

MAX_CPU_PERCENT = 5.0
MAX_KIB_PER_STREAM = 150.0
_NO_META = "http://127.0.0.1:9"


@dataclass(frozen=True, slots=True)
class Measurement:
    """CPU in percent of a core with one stream (idle) and all (busy), and KiB per stream."""

    idle: float
    busy: float
    kib_each: float


def measure(options: Options) -> Report:
    """Measure on each database."""
    streams, seconds = options.size(200, 20), options.size(20, 2)
    table: list[Row] = []
    goals: list[Goal] = []
    for database in DATABASES:
        with product(database, _NO_META) as running:
            measurements = []
            for round_number in range(options.repeat):
                measurements.append(_measure_streams(running, streams, seconds))
                report_progress(
                    f"{round_number + 1}/{options.repeat} {database}: {measurements[-1]}"
                )
        cpu = Row(
            f"{database}, CPU with {streams} streams", [each.busy for each in measurements], "%"
        )
        memory = Row(
            f"{database}, memory of a stream", [each.kib_each for each in measurements], "KiB"
        )
        table += [
            Row(f"{database}, CPU with one stream", [each.idle for each in measurements], "%"),
            cpu,
            memory,
        ]
        goals += [
            Goal(f"CPU with {streams} streams, {database}", cpu.median, MAX_CPU_PERCENT, "%"),
            Goal(f"memory of a stream, {database}", memory.median, MAX_KIB_PER_STREAM, "KiB"),
        ]
    world = f"{streams} open streams of one job of which there is no news for {seconds} s."
    return Report("Idle streams", world, table, goals)


def _measure_streams(running: Product, streams: int, seconds: int) -> Measurement:
    workspace_id, key = running.new_workspace()
    job = asyncio.run(_store_halted_job(running.database_url, workspace_id))
    log = f"followed-{job}"
    with api_process(running.api_settings, running.directory, name=log) as api:
        return asyncio.run(
            _measure_process(api, key, f"/v1/sync-jobs/{job}/events", streams, seconds)
        )


async def _measure_process(
    api: Running, key: str, path: str, streams: int, seconds: int
) -> Measurement:
    headers = {"Authorization": f"Bearer {key}", "Accept": "text/event-stream"}
    limits = httpx.Limits(max_connections=None)
    async with (
        httpx.AsyncClient(
            base_url=api.url, headers=headers, limits=limits, trust_env=False, timeout=60
        ) as client,
        AsyncExitStack() as stack,
    ):
        async with _open_stream(client, path):
            idle = await _cpu_percent(api, seconds)
            before = memory_mib(api)
        for _ in range(streams):
            await stack.enter_async_context(_open_stream(client, path))
        after = memory_mib(api)
        busy = await _cpu_percent(api, seconds)
        if (still_open := _connections(api)) < streams:
            raise RuntimeError(f"only {still_open} streams are open")
        return Measurement(idle, busy, (after - before) * 1024 / streams)


@asynccontextmanager
async def _open_stream(client: httpx.AsyncClient, path: str) -> AsyncIterator[None]:
    """Open a stream, and read its first event."""
    async with client.stream("GET", path) as answer:
        answer.raise_for_status()
        # Kept until the end: deleting the reader closes the connection.
        lines = answer.aiter_lines()
        async for line in lines:
            if line.startswith("id:"):
                break
        yield
        del lines


def _connections(api: Running) -> int:
    files = Path(f"/proc/{api.process.pid}/fd").iterdir()
    return sum(file.readlink().name.startswith("socket:") for file in files)


async def _cpu_percent(api: Running, seconds: int) -> float:
    began, used = time.perf_counter(), cpu_seconds(api)
    await asyncio.sleep(seconds)
    return 100 * (cpu_seconds(api) - used) / (time.perf_counter() - began)


async def _store_halted_job(database_url: str, workspace_id: str) -> str:
    """Store a halted job, which waits for an approval, and return its id."""
    database = open_database(without_environment(database_url=SecretStr(database_url)))
    ours = rows.integration(decode("wsp", workspace_id))
    theirs = rows.partner(ours)
    job = rows.halted_job(theirs)
    await rows.store(database, ours, theirs, job)
    await database.close()
    return encode("job", job.id)


if __name__ == "__main__":
    run(__doc__, measure)
