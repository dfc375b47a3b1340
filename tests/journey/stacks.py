"""The two ways to run the product, started as an operator would start them."""

import json
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from tests.journey.caller import Caller
from tests.journey.meta import Json, Meta
from tests.support.processes import (
    Running,
    api_process,
    graph_simulator,
    run_cli,
    run_json,
    wait_for_log,
    worker_process,
)

# A worker reads the limits that other workers know once a second.
LIMITS_ARE_KNOWN_AFTER_SECONDS = 1.2


@dataclass(slots=True)
class Stack:
    """Running product with a simulated Meta of its own."""

    name: str
    directory: Path
    operator: Mapping[str, str]
    """Settings for the command line, with the whole keyring."""
    data_dir: Path
    meta: Meta
    api: Running
    database_url: str | None = None
    workers: dict[str, Running] = field(default_factory=dict)
    """Worker processes by executor id; none in the embedded mode."""
    kept: list[bytes] = field(default_factory=list)
    """Every response of the API."""
    secrets: set[str] = field(default_factory=set)
    """API keys that were created, and the app secret."""
    more: ExitStack = field(default_factory=ExitStack)
    free_tenants: list[Json] = field(default_factory=list)
    """Empty workspaces that a test may use."""

    def tenant(self) -> Json:
        """Create a workspace and a key for it."""
        made = make_tenant(self.operator, self.directory)
        self.secrets.add(made["api_key"])
        return made

    @contextmanager
    def caller(self) -> Iterator[Caller]:
        """Yield a customer with an empty workspace of its own.

        Afterwards everything in the workspace is deleted, and the next customer may use the
        workspace again: to create one by the command line takes a second.
        """
        tenant = self.free_tenants.pop() if self.free_tenants else self.tenant()
        caller = Caller(self.api.url, self.meta, tenant, self.kept)
        try:
            yield caller
            for integration in caller.everything("/v1/integrations"):
                gone = caller.ask("DELETE", f"/v1/integrations/{integration['id']}")
                assert gone.status_code == 204
            for path in ("/v1/partners", "/v1/partner-users", "/v1/sync-jobs"):
                assert caller.everything(path) == []
            self.free_tenants.append(tenant)
        finally:
            caller.close()

    def forget_limits(self) -> None:
        """Delete what the workers know of Meta's limits, as an operator would."""
        statement = "DELETE FROM graph_budgets"
        if self.database_url is not None:
            with psycopg.connect(self.database_url) as server:
                forgotten = server.execute(statement).rowcount
        else:
            file = sqlite3.connect(self.data_dir / "partner-connector.db", timeout=30)
            try:
                with file:
                    forgotten = file.execute(statement).rowcount
            finally:
                file.close()
        if forgotten:
            time.sleep(LIMITS_ARE_KNOWN_AFTER_SECONDS)

    def add_worker(self) -> Running:
        """Start one more worker process."""
        name = f"worker-{len(list(self.directory.glob('worker-*.log')))}"
        running = self.more.enter_context(worker_process(self.operator, self.directory, name))
        started = json.loads(wait_for_log(running, "worker_started"))
        self.workers[started["executor"]] = running
        return running

    def logs(self) -> bytes:
        """Return the log output of every process of the product so far."""
        ours = [path for path in self.directory.glob("*.log") if path.name != "simulator.log"]
        return b"\n".join(path.read_bytes() for path in sorted(ours))


def make_tenant(operator: Mapping[str, str], directory: Path) -> Json:
    """Create a workspace and a key with all scopes, by the command line."""
    workspace = run_json("workspace", "create", "Journey", settings=operator, cwd=directory)
    scopes = ("--workspace", workspace["id"], "--scope", "all")
    key = run_json("api-key", "create", *scopes, settings=operator, cwd=directory)
    return {"workspace_id": workspace["id"], "api_key": key["api_key"]}


@contextmanager
def simulated_meta(directory: Path, *options: str) -> Iterator[Meta]:
    """Run a simulator; assert at its end that all requests were ones that Meta documents."""
    with graph_simulator(directory, *options) as simulator:
        meta = Meta(simulator.url)
        try:
            yield meta
            assert meta.outside_published() == [], "we asked for what Meta does not publish"
        finally:
            meta.close()


def settings_for(meta: Meta, data_dir: Path) -> dict[str, str]:
    """Return the settings that both modes have in common."""
    return {
        "DATA_DIR": str(data_dir),
        "GRAPH_BASE_URL": meta.url,
        "META_APP_SECRET": str(meta.world()["app"]["secret"]),
        "RATE_LIMIT": "off",
        "LOG_LEVEL": "DEBUG",
        "WEBHOOK_ALLOW_LOOPBACK": "true",
    }


@contextmanager
def embedded_stack(
    directory: Path, *simulator_options: str, settings: Mapping[str, str] | None = None
) -> Iterator[Stack]:
    """Run one process on SQLite with these settings added to the usual ones."""
    with simulated_meta(directory, *simulator_options) as meta:
        data_dir = directory / "var"
        all_settings = settings_for(meta, data_dir) | dict(settings or {})
        with api_process(all_settings, directory, "--with-worker") as api:
            secrets = {all_settings["META_APP_SECRET"]}
            yield Stack("embedded", directory, all_settings, data_dir, meta, api, secrets=secrets)


def settings_apart(
    meta: Meta, directory: Path, database_url: str
) -> tuple[dict[str, str], dict[str, str]]:
    """Migrate PostgreSQL, create the keys; return the operator's and the API's settings."""
    data_dir = directory / "var"
    full, public = data_dir / "keyring.json", directory / "api" / "keyring.public.json"
    common = settings_for(meta, data_dir) | {"DATABASE_URL": database_url}
    operator = common | {"KEYRING_FILE": str(full)}
    for command in (("migrate",), ("keys", "generate"), ("keys", "public", "--out", public)):
        done = run_cli(*map(str, command), settings=operator, cwd=directory)
        assert done.returncode == 0, done.stderr
    api_settings = common | {"KEYRING_FILE": str(public), "DATA_DIR": str(directory / "api")}
    del api_settings["META_APP_SECRET"]
    return operator, api_settings


@contextmanager
def separate_stack(directory: Path, database_url: str) -> Iterator[Stack]:
    """Run an API that can only seal, two workers that can open tokens, and PostgreSQL."""
    with simulated_meta(directory) as meta:
        operator, api_settings = settings_apart(meta, directory, database_url)
        with api_process(api_settings, directory) as api, ExitStack() as more:
            secrets = {operator["META_APP_SECRET"]}
            stack = Stack(
                "separate",
                directory,
                operator,
                directory / "var",
                meta,
                api,
                database_url=database_url,
                secrets=secrets,
                more=more,
            )
            stack.add_worker()
            stack.add_worker()
            yield stack
