"""Periodic tasks: pauses, failures, repetition without a pause, and cancellation."""

import asyncio

import pytest
from structlog.testing import capture_logs

from partner_connector.durable.periodic import Periodic, running
from partner_connector.telemetry.metrics import REGISTRY


def count_runs(task: str, outcome: str) -> float:
    """Return the number of runs of the task that `/metrics` shows."""
    labels = {"task": task, "outcome": outcome}
    return REGISTRY.get_sample_value("partner_connector_periodic_runs_total", labels) or 0


class Task:
    """A task that counts its runs and follows a script, one item for each run."""

    def __init__(self, *script: object) -> None:
        self.script = list(script)
        self.runs = 0
        self.is_cancelled = False

    async def run(self) -> object:
        """Return or raise the next item. After the last item, run until cancelled."""
        self.runs += 1
        if not self.script:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.is_cancelled = True
                raise
        item = self.script.pop(0)
        if isinstance(item, Exception):
            raise item
        return item


async def wait_for_last_run(task: Task) -> None:
    """Wait until the script is at its end and one more run has begun."""
    runs = len(task.script) + 1
    async with asyncio.timeout(5):
        while task.runs < runs:
            await asyncio.sleep(0.001)


async def test_failed_run_is_logged_and_counted_and_task_continues() -> None:
    """Expect one log event and one count for each failure."""
    task = Task(None, OSError("Secret."), None)
    with capture_logs() as logs:
        async with running(Periodic("flaky", 0.001, task.run)):
            await wait_for_last_run(task)
    assert logs == [
        {
            "event": "periodic_task_failed",
            "log_level": "warning",
            "task": "flaky",
            "error": "OSError",
        }
    ]
    assert (count_runs("flaky", "ok"), count_runs("flaky", "failed")) == (2, 1)


async def test_running_task_is_cancelled_at_the_end_of_the_block() -> None:
    task, other = Task(), Task(None)
    async with running(Periodic("long", 60, task.run), Periodic("short", 60, other.run)):
        await wait_for_last_run(task)
    assert task.is_cancelled
    assert other.runs == 1


async def test_true_result_starts_next_run_without_pause() -> None:
    """Keep the pause for every other result."""
    task = Task(True, True, ["started"])
    async with running(Periodic("greedy", 60, task.run)):
        while task.runs < 3:
            await asyncio.sleep(0)
        await asyncio.sleep(0.05)
    assert task.runs == 3


async def test_first_run_can_come_after_a_pause() -> None:
    task = Task(None)
    async with running(Periodic("later", 60, task.run, at_once=False)):
        await asyncio.sleep(0.05)
    assert task.runs == 0


@pytest.mark.parametrize(("jitter", "least", "most"), [(0.1, 9.0, 11.0), (0, 10.0, 10.0)])
async def test_pause_stays_within_jitter(
    monkeypatch: pytest.MonkeyPatch, jitter: float, least: float, most: float
) -> None:
    """Keep processes out of step with jitter; without jitter the pause is exact."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) > 50:
            raise asyncio.CancelledError

    monkeypatch.setattr("partner_connector.durable.periodic.asyncio.sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        await Periodic("swaying", 10.0, Task(*[None] * 60).run, jitter=jitter).repeat()
    assert least <= min(pauses) <= max(pauses) <= most
    assert (len(set(pauses)) > 1) == (jitter > 0)
