"""Product whose processes can each be killed and started again."""

import json
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg

from tests.journey.caller import Caller
from tests.journey.meta import Json, Meta
from tests.journey.stacks import make_tenant, settings_apart, settings_for, simulated_meta
from tests.support.processes import Running, api_process, wait_for_log, worker_process

EMBEDDED = "embedded"
# The longest outage of these campaigns that a read may meet.
AWAY_AT_MOST_SECONDS = 90.0
_LOOKS_AGAIN_AFTER_SECONDS = 0.2


class RetryingCaller(Caller):
    """Caller that repeats a read while the API is down or answers 5xx."""

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Repeat a read until it is answered; send a request with an effect once."""
        deadline = time.monotonic() + AWAY_AT_MOST_SECONDS
        while method == "GET" and time.monotonic() < deadline:
            try:
                answer = super().ask(method, path, **options)
            except httpx.TransportError:
                pass
            else:
                if answer.status_code < 500:
                    return answer
            time.sleep(_LOOKS_AGAIN_AFTER_SECONDS)
        return super().ask(method, path, **options)


class Deployment:
    """Product in front of one simulated Meta. In the embedded mode the API is the worker."""

    def __init__(
        self,
        directory: Path,
        meta: Meta,
        processes: ExitStack,
        *,
        of_worker: Mapping[str, str],
        of_api: Mapping[str, str],
        database_url: str | None,
    ) -> None:
        self.directory = directory
        self.meta = meta
        self.of_worker = of_worker
        self.of_api = of_api
        self.database_url = database_url
        self.workers: dict[str, Running] = {}
        """Worker processes by executor id."""
        self._processes = processes
        self._started = 0
        self.api = self._serve("0")
        self.port = self.api.url.rsplit(":", 1)[1]
        self.tenant = make_tenant(of_worker, directory)

    @property
    def is_embedded(self) -> bool:
        """True for one process on SQLite."""
        return self.database_url is None

    @property
    def name(self) -> str:
        """Database, as the command line names it."""
        return "sqlite" if self.is_embedded else "postgresql"

    @property
    def sqlite_file(self) -> Path:
        """Database file of the embedded mode."""
        return self.directory / "var" / "partner-connector.db"

    @contextmanager
    def caller(self, tenant: Json | None = None) -> Iterator[RetryingCaller]:
        """Yield a customer of this product, by default always of the same workspace."""
        caller = RetryingCaller(self.api.url, self.meta, tenant or self.tenant, [])
        try:
            yield caller
        finally:
            caller.close()

    def start_api(self) -> None:
        """Start the API again, on the same port."""
        self.api = self._serve(self.port)

    def start_worker(self) -> str:
        """Start one more worker, or the embedded process again; return its executor id."""
        if self.is_embedded:
            self.start_api()
            return EMBEDDED
        name = self._next("worker")
        # The database shows the worker's connections under this name.
        settings = {
            **self.of_worker,
            "DATABASE_URL": f"{self.database_url}&application_name={name}",
        }
        running = self._processes.enter_context(worker_process(settings, self.directory, name))
        executor: str = json.loads(wait_for_log(running, "worker_started"))["executor"]
        self.workers[executor] = running
        return executor

    def kill_worker(self, executor: str) -> None:
        """Kill this worker with -9."""
        self.workers.pop(executor).kill()

    def rows(self, statement: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query on the database; `{engine}` stands for the engine's schema."""
        query = statement.replace("{engine}", "" if self.is_embedded else "dbos.")
        if self.database_url is not None:
            with psycopg.connect(self.database_url) as server:
                return server.execute(query.replace("?", "%s").encode(), parameters).fetchall()
        file = sqlite3.connect(self.sqlite_file, timeout=30)
        try:
            return file.execute(query, parameters).fetchall()
        finally:
            file.close()

    def execute(self, statements: str) -> None:
        """Run statements on the database."""
        if self.database_url is not None:
            with psycopg.connect(self.database_url) as server:
                server.execute(statements.encode())
            return
        file = sqlite3.connect(self.sqlite_file, timeout=30)
        try:
            file.executescript(statements)
        finally:
            file.close()

    def runs_in_hand(self) -> dict[str, list[str]]:
        """Return the last checkpoint of each unfinished run of the engine, by its worker."""
        found: dict[str, list[str]] = {}
        for executor, step in self.rows(_RUNS_IN_HAND):
            found.setdefault(executor, []).append(step or "taken")
        return found

    def is_queued(self) -> bool:
        """Return whether any run waits for a worker."""
        return bool(self.rows(_QUEUED))

    def _serve(self, port: str) -> Running:
        options = ("--port", port, *(("--with-worker",) if self.is_embedded else ()))
        running = self._processes.enter_context(
            api_process(self.of_api, self.directory, *options, name=self._next("api"))
        )
        if self.is_embedded:
            self.workers[EMBEDDED] = running
        return running

    def _next(self, kind: str) -> str:
        self._started += 1
        return f"{kind}-{self._started}"


_RUNS_IN_HAND = """
SELECT w.executor_id, (
  SELECT o.function_name FROM {engine}operation_outputs o
  WHERE o.workflow_uuid = w.workflow_uuid ORDER BY o.function_id DESC LIMIT 1
) FROM {engine}workflow_status w WHERE w.status = 'PENDING'
"""

_QUEUED = """
SELECT 1 FROM {engine}workflow_status WHERE status IN ('ENQUEUED', 'DELAYED') LIMIT 1
"""


@contextmanager
def deployment(
    directory: Path,
    database_url: str | None,
    *,
    partners: int,
    workers: int = 2,
    seed: int = 1,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Deployment]:
    """Run a product: embedded on SQLite without a URL, else with `workers` workers.

    `settings` are added to the usual ones.
    """
    directory.mkdir(parents=True, exist_ok=True)
    options = ("--partners", str(partners), "--seed", str(seed))
    with simulated_meta(directory, *options) as meta, ExitStack() as processes:
        if database_url is None:
            of_worker = of_api = settings_for(meta, directory / "var")
        else:
            of_worker, of_api = settings_apart(meta, directory, database_url)
        more = dict(settings or {})
        running = Deployment(
            directory,
            meta,
            processes,
            of_worker=of_worker | more,
            of_api=of_api | more,
            database_url=database_url,
        )
        for _ in range(0 if running.is_embedded else workers):
            running.start_worker()
        yield running
