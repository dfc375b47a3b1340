"""What clients cost that follow a job of which there is no news.

Two hundred streams of `GET /v1/sync-jobs/{id}/events` are open at one API process while nothing
happens. CPU and memory are those of that process, next to the same process with a single one.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from pydantic import SecretStr

from benchmarks.measure import Goal, Options, Report, Row, run, tell
from benchmarks.product import DATABASES, Product, cpu_seconds, memory_mib, product
from partner_connector.db.engine import open_database
from partner_connector.ids import decode, encode
from partner_connector.settings import without_environment
from tests.api import rows
from tests.support.processes import Running, api_process

MOST_CPU_PERCENT = 5.0
MOST_KIB_EACH = 150.0
_NO_META = "http://127.0.0.1:9"


@dataclass(frozen=True, slots=True)
class Found:
    """Of one process: percents of one core with one stream and with all, and memory."""

    idle: float
    busy: float
    kib_each: float


def measure(options: Options) -> Report:
    """On each database."""
    streams, seconds = options.size(200, 20), options.size(20, 2)
    table: list[Row] = []
    goals: list[Goal] = []
    for database in DATABASES:
        with product(database, _NO_META) as running:
            found = []
            for lap in range(options.repeat):
                found.append(_follow(running, streams, seconds))
                tell(f"{lap + 1}/{options.repeat} {database}: {found[-1]}")
        cpu = Row(f"{database}, CPU with {streams} streams", [each.busy for each in found], "%")
        memory = Row(f"{database}, memory of a stream", [each.kib_each for each in found], "KiB")
        table += [
            Row(f"{database}, CPU with one stream", [each.idle for each in found], "%"),
            cpu,
            memory,
        ]
        goals += [
            Goal(f"CPU with {streams} streams, {database}", cpu.median, MOST_CPU_PERCENT, "%"),
            Goal(f"memory of a stream, {database}", memory.median, MOST_KIB_EACH, "KiB"),
        ]
    world = f"{streams} open streams of one job of which there is no news for {seconds} s."
    return Report("Idle streams", world, table, goals)


def _follow(running: Product, streams: int, seconds: int) -> Found:
    workspace_id, key = running.tenant()
    job = asyncio.run(_job(running.database_url, workspace_id))
    log = f"followed-{job}"
    with api_process(running.api_settings, running.directory, name=log) as api:
        return asyncio.run(_open(api, key, f"/v1/sync-jobs/{job}/events", streams, seconds))


async def _open(api: Running, key: str, path: str, streams: int, seconds: int) -> Found:
    headers = {"Authorization": f"Bearer {key}", "Accept": "text/event-stream"}
    limits = httpx.Limits(max_connections=None)
    async with (
        httpx.AsyncClient(
            base_url=api.url, headers=headers, limits=limits, trust_env=False, timeout=60
        ) as client,
        AsyncExitStack() as stack,
    ):
        async with _followed(client, path):
            idle = await _cpu_percent(api, seconds)
            before = memory_mib(api)
        for _ in range(streams):
            await stack.enter_async_context(_followed(client, path))
        after = memory_mib(api)
        busy = await _cpu_percent(api, seconds)
        if (still_open := _connections(api)) < streams:
            raise RuntimeError(f"only {still_open} streams are open")
        return Found(idle, busy, (after - before) * 1024 / streams)


@asynccontextmanager
async def _followed(client: httpx.AsyncClient, path: str) -> AsyncIterator[None]:
    """A stream that has told what there is."""
    async with client.stream("GET", path) as answer:
        answer.raise_for_status()
        # Held until the end: a reader that is let go closes the connection.
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


async def _job(database_url: str, workspace_id: str) -> str:
    """One that waits for somebody's answer."""
    database = open_database(without_environment(database_url=SecretStr(database_url)))
    ours = rows.integration(decode("wsp", workspace_id))
    theirs = rows.partner(ours)
    job = rows.halted_job(theirs)
    await rows.store(database, ours, theirs, job)
    await database.close()
    return encode("job", job.id)


if __name__ == "__main__":
    run(__doc__, measure)
