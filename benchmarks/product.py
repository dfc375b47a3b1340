"""The product as an operator runs it, and what its worker uses of the machine."""

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
    """A running product. `worker` is the process that does the work, embedded or of its own."""

    directory: Path
    settings: Mapping[str, str]
    api_settings: Mapping[str, str]
    api: Running
    worker: Running

    def customer(self) -> Customer:
        """Somebody with an empty workspace."""
        return Customer(self.api.url, self.tenant()[1])

    def tenant(self) -> tuple[str, str]:
        """An empty workspace, and a key of it that may do everything."""
        workspace = run_json(
            "workspace", "create", "Benchmark", settings=self.settings, cwd=self.directory
        )
        scopes = ("--workspace", workspace["id"], "--scope", "all")
        key = run_json("api-key", "create", *scopes, settings=self.settings, cwd=self.directory)
        return str(workspace["id"]), str(key["api_key"])

    @property
    def database_url(self) -> str:
        """Where its rows are."""
        file = Path(self.settings["DATA_DIR"]) / "partner-connector.db"
        return self.settings.get("DATABASE_URL", f"sqlite:///{file}")

    def cpu_seconds(self) -> float:
        """What the worker's process has used so far."""
        return cpu_seconds(self.worker)

    def peak_mib(self) -> float:
        """The most memory that the worker's process ever held."""
        return peak_mib(self.worker)


def cpu_seconds(running: Running) -> float:
    """What a process has used so far, in all of its threads."""
    stat = Path(f"/proc/{running.process.pid}/stat").read_text(encoding="ascii")
    user, system = stat.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / _TICKS


def peak_mib(running: Running) -> float:
    """The most memory that a process ever held."""
    return _status_mib(running, "VmHWM:")


def memory_mib(running: Running) -> float:
    """What a process holds now."""
    return _status_mib(running, "VmRSS:")


def _status_mib(running: Running, name: str) -> float:
    status = Path(f"/proc/{running.process.pid}/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024


@contextmanager
def product(database: str, graph_url: str, app_secret: str = "") -> Iterator[Product]:
    """One of `DATABASES`, each with the way to run the product that goes with it."""
    run = _embedded if database == "SQLite" else _separate
    with (
        tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as directory,
        run(Path(directory), graph_url, app_secret) as running,
    ):
        yield running


@contextmanager
def _embedded(directory: Path, graph_url: str, app_secret: str) -> Iterator[Product]:
    """`serve --with-worker`: one process, which provisions itself."""
    settings = _settings(directory, graph_url, app_secret)
    with api_process(settings, directory, "--with-worker") as api:
        yield Product(directory, settings, settings, api, api)


@contextmanager
def _separate(directory: Path, graph_url: str, app_secret: str) -> Iterator[Product]:
    """`serve` and one `worker`, with a PostgreSQL of their own between them."""
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
        of_api = settings | {"KEYRING_FILE": str(public)}
        with api_process(of_api, directory) as api, worker_process(settings, directory) as worker:
            yield Product(directory, settings, of_api, api, worker)


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
