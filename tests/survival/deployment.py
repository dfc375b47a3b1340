"""The product with every process in our hand: each can be killed and started again."""

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
# As long as an outage in these campaigns may last for a reader.
AWAY_AT_MOST_SECONDS = 90.0
_LOOKS_AGAIN_AFTER_SECONDS = 0.2


class PatientCaller(Caller):
    """Reads again where the API is away or cannot answer now, as every client has to."""

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """A read is repeated until it is answered; what has an effect is asked once."""
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
    """One product in front of one simulated Meta. In the embedded mode the API is the worker."""

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
        """The processes that work, by the id under which they do."""
        self._processes = processes
        self._started = 0
        self.api = self._serve("0")
        self.port = self.api.url.rsplit(":", 1)[1]
        self.tenant = make_tenant(of_worker, directory)

    @property
    def is_embedded(self) -> bool:
        """One process on SQLite."""
        return self.database_url is None

    @property
    def name(self) -> str:
        """The database, as the command line names it."""
        return "sqlite" if self.is_embedded else "postgresql"

    @property
    def sqlite_file(self) -> Path:
        """The database of the embedded mode."""
        return self.directory / "var" / "partner-connector.db"

    @contextmanager
    def caller(self, tenant: Json | None = None) -> Iterator[PatientCaller]:
        """A customer of this product; always the same one unless told otherwise."""
        caller = PatientCaller(self.api.url, self.meta, tenant or self.tenant, [])
        try:
            yield caller
        finally:
            caller.close()

    def start_api(self) -> None:
        """The API again, on the port that its clients know."""
        self.api = self._serve(self.port)

    def start_worker(self) -> str:
        """One more worker, or the embedded one again. Answers its id."""
        if self.is_embedded:
            self.start_api()
            return EMBEDDED
        name = self._next("worker")
        # The name under which the database knows its connections.
        settings = {
            **self.of_worker,
            "DATABASE_URL": f"{self.database_url}&application_name={name}",
        }
        running = self._processes.enter_context(worker_process(settings, self.directory, name))
        executor: str = json.loads(wait_for_log(running, "worker_started"))["executor"]
        self.workers[executor] = running
        return executor

    def kill_worker(self, executor: str) -> None:
        """-9."""
        self.workers.pop(executor).kill()

    def rows(self, statement: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """What the database says, past the product. `{engine}` names the engine's schema."""
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
        """Change the database past the product."""
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
        """The engine's unfinished runs by the worker that has them, each by its last checkpoint."""
        found: dict[str, list[str]] = {}
        for executor, step in self.rows(_RUNS_IN_HAND):
            found.setdefault(executor, []).append(step or "taken")
        return found

    def is_queued(self) -> bool:
        """Whether any run waits for a worker."""
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
    """A running product: embedded on SQLite without a URL, else apart with so many workers; with
    these settings beside the usual ones.
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
