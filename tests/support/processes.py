"""The project's programs as real processes: start, stop and kill them, and read their logs."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

STARTS_WITHIN_SECONDS = 60


@dataclass(slots=True)
class Running:
    """Running process and the file that has its output."""

    process: subprocess.Popen[bytes]
    log_path: Path
    url: str = ""

    @property
    def log(self) -> str:
        """Output so far, standard error included."""
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def kill(self) -> None:
        """Send SIGKILL and wait for the end of the process."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=10)

    def stop(self, timeout: float = 30) -> int:
        """Send SIGTERM, as an orchestrator does. Return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=timeout)


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment, with these settings of the product and no others."""
    base = {k: v for k, v in os.environ.items() if not k.startswith("PARTNER_CONNECTOR_")}
    given = {"ASSERT_LOCK_ORDER": "true", **settings}
    return base | {f"PARTNER_CONNECTOR_{name}": value for name, value in given.items()}


def run_cli(
    *arguments: str, settings: Mapping[str, str], cwd: Path
) -> subprocess.CompletedProcess[str]:
    """Run one command of the product until it ends."""
    return subprocess.run(
        [sys.executable, "-m", "partner_connector", *arguments],
        env=environment(settings),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def run_json(*arguments: str, settings: Mapping[str, str], cwd: Path) -> dict[str, Any]:
    """Run one command with `--json` and return its output. Fail if it fails."""
    done = run_cli(*arguments, "--json", settings=settings, cwd=cwd)
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@contextmanager
def started(
    module: str, *arguments: str, settings: Mapping[str, str], cwd: Path, name: str
) -> Iterator[Running]:
    """Start a process in the background, and end it with the block."""
    log_path = cwd / f"{name}.log"
    with log_path.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            env=environment(settings),
            cwd=cwd,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    running = Running(process, log_path)
    try:
        yield running
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(timeout=10)


def wait_for_log(running: Running, marker: str) -> str:
    """Return the first log line with this text.

    Fail with the whole log if the process ends or 60 seconds pass.
    """
    deadline = time.monotonic() + STARTS_WITHIN_SECONDS
    while time.monotonic() < deadline:
        for line in running.log.splitlines():
            if marker in line:
                return line
        assert running.process.poll() is None, running.log
        time.sleep(0.05)
    raise AssertionError(f"{marker!r} is not in the log:\n{running.log}")


@contextmanager
def graph_simulator(cwd: Path, *arguments: str) -> Iterator[Running]:
    """Run the simulator on a free port. Its `url` is the base URL of the Graph API."""
    options: Sequence[str] = ("--port", "0", *arguments)
    with started("graph_simulator", *options, settings={}, cwd=cwd, name="simulator") as running:
        line = wait_for_log(running, "Graph simulator on ")
        running.url = line.split("Graph simulator on ")[1].split()[0]
        yield running


@contextmanager
def api_process(
    settings: Mapping[str, str], cwd: Path, *arguments: str, name: str = "api"
) -> Iterator[Running]:
    """Run `serve` on a free port. Yield it when it is ready."""
    options = ("serve", "--port", "0", *arguments)
    with started("partner_connector", *options, settings=settings, cwd=cwd, name=name) as running:
        line = wait_for_log(running, "api_listening")
        running.url = json.loads(line)["url"]
        deadline = time.monotonic() + STARTS_WITHIN_SECONDS
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"{running.url}/readyz", trust_env=False).status_code == 200:
                    break
            except httpx.TransportError:
                pass
            time.sleep(0.05)
        yield running


@contextmanager
def worker_process(
    settings: Mapping[str, str], cwd: Path, name: str = "worker"
) -> Iterator[Running]:
    """Run `worker`. Yield it when it has started."""
    with started("partner_connector", "worker", settings=settings, cwd=cwd, name=name) as running:
        wait_for_log(running, "worker_started")
        yield running
