"""The product as an operator runs it, and the CPU and memory of its processes."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from sqlalchemy.engine import make_url

from benchmarks.customer import Customer
from tests.support.databases import postgres_server
from tests.support.processes import (
    Running,
    api_process,
    run_cli,
    run_json,
    worker_process,
)

DATABASES = ("SQLite", "PostgreSQL")
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class Product:
    """A running product. With an embedded worker, `worker` is the API process."""

    directory: Path
    settings: Mapping[str, str]
    api_settings: Mapping[str, str]
    api: Running
    worker: Running

    def customer(self) -> Customer:
        """Return a client with a new, empty workspace."""
        return Customer(self.api.url, self.new_workspace()[1])

    def new_workspace(self) -> tuple[str, str]:
        """Create a workspace. Return its id and an API key with all scopes."""
        workspace = run_json(
            "workspace", "create", "Benchmark", settings=self.settings, cwd=self.directory
        )
        scopes = ("--workspace", workspace["id"], "--scope", "all")
        key = run_json("api-key", "create", *scopes, settings=self.settings, cwd=self.directory)
        return str(workspace["id"]), str(key["api_key"])

    @property
    def database_url(self) -> str:
        """URL of the product's database."""
        file = Path(self.settings["DATA_DIR"]) / "partner-connector.db"
        return self.settings.get("DATABASE_URL", f"sqlite:///{file}")

    def cpu_seconds(self) -> float:
        """Return the CPU seconds of the worker process so far."""
        return cpu_seconds(self.worker)

    def peak_mib(self) -> float:
        """Return the peak memory of the worker process."""
        return peak_mib(self.worker)


def cpu_seconds(running: Running) -> float:
    """Return the CPU seconds of a process so far, of all threads."""
    stat = Path(f"/proc/{running.process.pid}/stat").read_text(encoding="ascii")
    user, system = stat.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / _TICKS


def peak_mib(running: Running) -> float:
    """Return the peak memory of a process."""
    return _status_mib(running, "VmHWM:")


def memory_mib(running: Running) -> float:
    """Return the current memory of a process."""
    return _status_mib(running, "VmRSS:")


def _status_mib(running: Running, name: str) -> float:
    status = Path(f"/proc/{running.process.pid}/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024


@contextmanager
def product(database: str, graph_url: str, app_secret: str = "") -> Iterator[Product]:
    """Run the product: with an embedded worker on SQLite, a separate one on PostgreSQL."""
    run = _embedded if database == "SQLite" else _separate
    with (
        tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as directory,
        run(Path(directory), graph_url, app_secret) as running,
    ):
        yield running


@contextmanager
def _embedded(directory: Path, graph_url: str, app_secret: str) -> Iterator[Product]:
    """Run `serve --with-worker`: one process, which creates its database and keyring."""
    settings = _settings(directory, graph_url, app_secret)
    with api_process(settings, directory, "--with-worker") as api:
        yield Product(directory, settings, settings, api, api)


@contextmanager
def _separate(directory: Path, graph_url: str, app_secret: str) -> Iterator[Product]:
    """Run `serve` and one `worker` with a new PostgreSQL database."""
    full, public = directory / "keyring.json", directory / "keyring.public.json"
    given = os.environ.get("TEST_POSTGRES_URL")
    with (
        postgres_server(directory / "postgres", given) as server,
        _new_database(server) as database_url,
    ):
        settings = _settings(directory, graph_url, app_secret)
        settings |= {"DATABASE_URL": database_url, "KEYRING_FILE": str(full)}
        for command in (("migrate",), ("keys", "generate"), ("keys", "public", "--out", public)):
            done = run_cli(*map(str, command), settings=settings, cwd=directory)
            if done.returncode:
                raise RuntimeError(done.stderr)
        api_settings = settings | {"KEYRING_FILE": str(public)}
        with (
            api_process(api_settings, directory) as api,
            worker_process(settings, directory) as worker,
        ):
            yield Product(directory, settings, api_settings, api, worker)


@contextmanager
def _new_database(server_url: str) -> Iterator[str]:
    name = f"bench_{os.urandom(8).hex()}"
    with psycopg.connect(server_url, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}".encode())
        yield make_url(server_url).set(database=name).render_as_string(hide_password=False)
        server.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def _settings(directory: Path, graph_url: str, app_secret: str) -> dict[str, str]:
    return {
        "DATA_DIR": str(directory / "var"),
        "GRAPH_BASE_URL": graph_url,
        "META_APP_SECRET": app_secret,
        "RATE_LIMIT": "off",
    }
