"""`partner-connector worker`: a worker in its own process, or in a thread beside the API."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from partner_connector.cli import process, provision
from partner_connector.cli.terminal import report
from partner_connector.sealing.keyring import KeyringSource
from partner_connector.settings import Settings
from partner_connector.worker.process import worker_running


def work() -> None:
    """Check the database and the keys, and run the worker until a signal."""
    settings = process.configure()
    provision.prepare_database(settings, report)
    ring = provision.private_keyring(settings, report)
    process.run(_run_worker(settings, ring))


async def _run_worker(settings: Settings, ring: KeyringSource) -> None:
    """Run the worker alone until a signal."""
    stopped = asyncio.Event()
    with process.metrics_served(settings), process.signals_call(stopped.set):
        async with worker_running(settings, ring):
            process.tune_gc()
            await stopped.wait()


@contextlib.asynccontextmanager
async def worker_in_a_thread(settings: Settings, ring: KeyringSource) -> AsyncIterator[None]:
    """Run a worker with its own event loop, so that parsing a big answer delays no API request."""
    started: Future[Callable[[], object]] = Future()

    async def work() -> None:
        stopped, loop = asyncio.Event(), asyncio.get_running_loop()
        async with worker_running(settings, ring):
            started.set_result(lambda: loop.call_soon_threadsafe(stopped.set))
            await stopped.wait()

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="worker") as thread:
        ended = asyncio.wrap_future(thread.submit(process.run, work()))
        starting: asyncio.Future[Any] = asyncio.wrap_future(started)
        await asyncio.wait([starting, ended], return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            ended.result()
        try:
            yield
        finally:
            started.result()()
            await ended
