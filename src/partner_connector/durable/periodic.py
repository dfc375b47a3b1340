"""Periodic tasks of a process."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog

from partner_connector.telemetry import metrics

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Periodic:
    """Task that runs every `every` seconds, and continues after a failure.

    If `run` returns True, more work waits and the task runs again at once.
    """

    name: str
    every: float
    run: Callable[[], Awaitable[object]]
    at_once: bool = True
    # Largest relative change of a pause, so that processes do not run in step.
    jitter: float = 0.1

    async def repeat(self) -> None:
        """Run until cancelled."""
        if not self.at_once:
            await asyncio.sleep(self._pause())
        while True:
            there_is_more = await self.run_once()
            await asyncio.sleep(0 if there_is_more else self._pause())

    async def run_once(self) -> bool:
        """Run, and log and count a failure. Return whether there is more to do."""
        try:
            answer = await self.run()
        except Exception as error:
            log.warning("periodic_task_failed", task=self.name, error=type(error).__name__)
            metrics.PERIODIC_RUNS.labels(self.name, "failed").inc()
            return False
        metrics.PERIODIC_RUNS.labels(self.name, "ok").inc()
        return answer is True

    def _pause(self) -> float:
        return self.every * random.uniform(1 - self.jitter, 1 + self.jitter)  # noqa: S311 - spreads load, guards nothing


@asynccontextmanager
async def running(*tasks: Periodic) -> AsyncIterator[None]:
    """Repeat the tasks while the block runs, and cancel them at its end."""
    started = [asyncio.create_task(task.repeat(), name=task.name) for task in tasks]
    try:
        yield
    finally:
        for each in started:
            each.cancel()
        await asyncio.gather(*started, return_exceptions=True)
