"""Migrated template of each database, and clones of it."""

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from pydantic import SecretStr
from sqlalchemy.engine import make_url

from partner_connector.cli import migrate
from partner_connector.settings import without_environment
from tests.support import postgres_wheel


@contextmanager
def postgres_server(directory: Path, given_url: str | None) -> Iterator[str]:
    """Yield a maintenance database's URL: the given one, or that of a server from the wheel."""
    if given_url is not None:
        yield given_url
        return
    with postgres_wheel.started(directory) as server:
        yield server.get_uri()


def skip_durability(server_url: str) -> None:
    """Turn off waiting for the disk on a server that exists for one test run only.

    A killed client loses no data: only a crash of the server would.
    """
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("ALTER SYSTEM SET synchronous_commit = off")
        connection.execute("ALTER SYSTEM SET full_page_writes = off")
        connection.execute("SELECT pg_reload_conf()")


class PostgresTemplate:
    """Migrated PostgreSQL database that is cloned for each test."""

    def __init__(self, server_url: str) -> None:
        self.server_url = server_url
        self.name = f"template_{uuid.uuid4().hex}"
        self._execute(f"CREATE DATABASE {self.name}")
        migrate.upgrade(without_environment(database_url=SecretStr(self.url_of(self.name))))

    def url_of(self, name: str) -> str:
        """Return the URL of a database of this server."""
        url = make_url(self.server_url).set(database=name)
        return url.render_as_string(hide_password=False)

    @contextmanager
    def clone(self) -> Iterator[str]:
        """Create a copy of the template and yield its URL. Drop the copy at the end."""
        name = f"test_{uuid.uuid4().hex}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {self.name}")
        try:
            yield self.url_of(name)
        finally:
            self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    @contextmanager
    def empty(self) -> Iterator[str]:
        """Create a database without tables and yield its URL. Drop it at the end."""
        name = f"test_{uuid.uuid4().hex}"
        self._execute(f"CREATE DATABASE {name}")
        try:
            yield self.url_of(name)
        finally:
            self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def drop(self) -> None:
        """Drop the template itself."""
        self._execute(f"DROP DATABASE {self.name} WITH (FORCE)")

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self.server_url, autocommit=True) as connection:
            connection.execute(statement.encode())


class SqliteTemplate:
    """Migrated SQLite file that is copied for each test."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "template.db"
        migrate.upgrade(without_environment(database_url=SecretStr(f"sqlite:///{self.path}")))

    def clone(self, directory: Path) -> str:
        """Copy the template into this directory and return the URL of the copy."""
        path = directory / "partner-connector.db"
        for suffix in ("", "-wal", "-shm"):
            source = Path(f"{self.path}{suffix}")
            if source.exists():
                shutil.copyfile(source, f"{path}{suffix}")
        return f"sqlite:///{path}"
