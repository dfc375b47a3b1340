"""The tree of migrations: up, down, up again, and the same tables as the models."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from pydantic import SecretStr
from sqlalchemy import Connection, Engine, inspect, text

from partner_connector.cli import migrate
from partner_connector.db import revisions
from partner_connector.db.engine import migrations_directory
from partner_connector.db.models import Base
from partner_connector.settings import Settings, without_environment
from tests.support.databases import PostgresTemplate

OUR_TABLES = set(Base.metadata.tables)
NEXT_REVISION = """
import sqlalchemy as sa
from alembic import op

revision = "0002_next"
down_revision = "0001_initial"


def upgrade() -> None:
    op.add_column("executors", sa.Column("host", sa.String(64)))
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    """Settings for a database without any table, on each of the two."""
    if request.param == "sqlite":
        yield without_environment(database_url=SecretStr(f"sqlite:///{tmp_path / 'empty.db'}"))
    else:
        server: PostgresTemplate = request.getfixturevalue("postgres")
        with server.empty() as url:
            yield without_environment(database_url=SecretStr(url))


@pytest.fixture
def engine(empty: Settings) -> Iterator[Engine]:
    """A connection pool to it."""
    made = revisions.sync_engine(empty)
    yield made
    made.dispose()


@pytest.fixture
def next_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A tree of migrations with one more revision than ours."""
    tree = shutil.copytree(migrations_directory(), tmp_path / "migrations")
    (tree / "versions" / "0002_next.py").write_text(NEXT_REVISION, encoding="utf-8")
    with monkeypatch.context() as patched:
        patched.setattr(revisions, "migrations_directory", lambda: tree)
        revisions._older_revisions.cache_clear()
        yield
    revisions._older_revisions.cache_clear()


def config(connection: Connection) -> Config:
    """Alembic's configuration for this connection."""
    made = revisions.alembic_config()
    made.attributes["connection"] = connection
    return made


def tables(engine: Engine) -> set[str]:
    """Which of our tables there are."""
    with engine.connect() as connection:
        return set(inspect(connection).get_table_names()) & OUR_TABLES


def differences(connection: Connection) -> list[object]:
    """What autogenerate would write: `alembic check`."""
    context = MigrationContext.configure(
        connection,
        opts={
            "compare_type": True,
            "include_object": lambda _object, name, kind, _reflected, _other: (
                kind != "table" or name in OUR_TABLES
            ),
        },
    )
    return list(compare_metadata(context, Base.metadata))


def test_up_down_up(engine: Engine) -> None:
    """Head can be reached from nothing, left again without a trace, and reached once more."""
    for _ in range(2):
        with engine.begin() as connection:
            command.upgrade(config(connection), "head")
        assert tables(engine) == OUR_TABLES
        with engine.connect() as connection:
            assert revisions.is_at_head(connection)
        with engine.begin() as connection:
            command.downgrade(config(connection), "base")
        assert tables(engine) == set()
        with engine.connect() as connection:
            assert not revisions.is_at_head(connection)


def test_the_tables_are_those_of_the_models(engine: Engine) -> None:
    """Nothing differs between a migrated database and the models: no migration is missing."""
    with engine.begin() as connection:
        command.upgrade(config(connection), "head")
    with engine.connect() as connection:
        assert differences(connection) == []


def test_a_difference_would_be_found(engine: Engine) -> None:
    """The comparison is not blind: a missing column and a missing index are told."""
    with engine.begin() as connection:
        command.upgrade(config(connection), "head")
        connection.execute(text("DROP INDEX ix_partner_users_workspace_id_email"))
        connection.execute(text("ALTER TABLE executors DROP COLUMN beat_at"))
    with engine.connect() as connection:
        found = repr(differences(connection))
    assert "ix_partner_users_workspace_id_email" in found
    assert "beat_at" in found


def test_migrating_twice_is_harmless(empty: Settings, engine: Engine) -> None:
    """The program's own upgrade runs twice, keeps the rows, and makes the engine's tables too."""
    migrate.upgrade(empty)
    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO executors (id, beat_at) VALUES ('a', '2026-01-01 00:00:00+00:00')")
        )
    migrate.upgrade(empty)
    schema = None if empty.uses_sqlite else "dbos"
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM executors")) == 1
        assert "workflow_status" in inspect(connection).get_table_names(schema=schema)
        assert differences(connection) == []
    revisions.require_head(empty)


def test_older_revision_is_refused_until_it_is_migrated(
    empty: Settings, engine: Engine, request: pytest.FixtureRequest
) -> None:
    """A process of the next release refuses these tables, and `migrate` keeps their rows."""
    migrate.upgrade(empty)
    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO executors (id, beat_at) VALUES ('a', '2026-01-01 00:00:00+00:00')")
        )
    request.getfixturevalue("next_release")
    with pytest.raises(revisions.DatabaseNotReady, match="partner-connector migrate"):
        revisions.require_head(empty)
    migrate.upgrade(empty)
    revisions.require_head(empty)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT id, host FROM executors")).one() == ("a", None)


def test_a_later_release_s_database_is_left_alone(empty: Settings, engine: Engine) -> None:
    """What was rolled back starts on it, and migrates neither up nor down."""
    migrate.upgrade(empty)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'of_next_year'"))
    migrate.upgrade(empty)
    revisions.require_head(empty)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "of_next_year"


def test_behind_is_not_ready(empty: Settings) -> None:
    """A database that was never migrated is refused with what to do about it."""
    with pytest.raises(revisions.DatabaseNotReady, match="partner-connector migrate"):
        revisions.require_head(empty)


def test_there_is_one_head() -> None:
    """The tree has one head and one base: no two people's revisions stand side by side."""
    script = ScriptDirectory.from_config(revisions.alembic_config())
    assert len(script.get_heads()) == 1
    assert len(script.get_bases()) == 1
