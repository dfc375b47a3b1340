"""The migration tree: upgrade, downgrade, upgrade again, and the same tables as the models."""

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
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    """Settings for a database without tables, on each of the two database systems."""
    if request.param == "sqlite":
        yield without_environment(database_url=SecretStr(f"sqlite:///{tmp_path / 'empty.db'}"))
    else:
        server: PostgresTemplate = request.getfixturevalue("postgres")
        with server.empty() as url:
            yield without_environment(database_url=SecretStr(url))


@pytest.fixture
def engine(empty_database: Settings) -> Iterator[Engine]:
    """A connection pool to the empty database."""
    made = revisions.sync_engine(empty_database)
    yield made
    made.dispose()


@pytest.fixture
def next_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A migration tree with one more revision than the product's."""
    tree = shutil.copytree(migrations_directory(), tmp_path / "migrations")
    (tree / "versions" / "0002_next.py").write_text(NEXT_REVISION, encoding="utf-8")
    with monkeypatch.context() as patched:
        patched.setattr(revisions, "migrations_directory", lambda: tree)
        revisions._older_revisions.cache_clear()
        yield
    revisions._older_revisions.cache_clear()


def config(connection: Connection) -> Config:
    """Return Alembic's configuration for this connection."""
    made = revisions.alembic_config()
    made.attributes["connection"] = connection
    return made


def product_tables(engine: Engine) -> set[str]:
    """Return the product's tables that exist."""
    with engine.connect() as connection:
        return set(inspect(connection).get_table_names()) & OUR_TABLES


def differences(connection: Connection) -> list[object]:
    """Return what autogenerate would write, like `alembic check`."""
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


def test_database_migrates_up_down_and_up_again(engine: Engine) -> None:
    """Leave no table after the downgrade."""
    for _ in range(2):
        with engine.begin() as connection:
            command.upgrade(config(connection), "head")
        assert product_tables(engine) == OUR_TABLES
        with engine.connect() as connection:
            assert revisions.is_at_head(connection)
        with engine.begin() as connection:
            command.downgrade(config(connection), "base")
        assert product_tables(engine) == set()
        with engine.connect() as connection:
            assert not revisions.is_at_head(connection)


def test_migrated_tables_equal_models(engine: Engine) -> None:
    """Find a missing migration."""
    with engine.begin() as connection:
        command.upgrade(config(connection), "head")
    with engine.connect() as connection:
        assert differences(connection) == []


def test_missing_column_and_index_are_differences(engine: Engine) -> None:
    """Show that the comparison of tables and models finds differences."""
    with engine.begin() as connection:
        command.upgrade(config(connection), "head")
        connection.execute(text("DROP INDEX ix_partner_users_workspace_id_email"))
        connection.execute(text("ALTER TABLE executors DROP COLUMN beat_at"))
    with engine.connect() as connection:
        found = repr(differences(connection))
    assert "ix_partner_users_workspace_id_email" in found
    assert "beat_at" in found


def test_second_migration_keeps_rows(empty_database: Settings, engine: Engine) -> None:
    """Create also the tables of DBOS."""
    migrate.upgrade(empty_database)
    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO executors (id, beat_at) VALUES ('a', '2026-01-01 00:00:00+00:00')")
        )
    migrate.upgrade(empty_database)
    schema = None if empty_database.uses_sqlite else "dbos"
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM executors")) == 1
        assert "workflow_status" in inspect(connection).get_table_names(schema=schema)
        assert differences(connection) == []
    revisions.require_head(empty_database)


def test_older_revision_is_refused_until_it_is_migrated(
    empty_database: Settings, engine: Engine, request: pytest.FixtureRequest
) -> None:
    """Start a process of the next release, which refuses the old tables; `migrate` keeps their
    rows.
    """
    migrate.upgrade(empty_database)
    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO executors (id, beat_at) VALUES ('a', '2026-01-01 00:00:00+00:00')")
        )
    request.getfixturevalue("next_release")
    with pytest.raises(revisions.DatabaseNotReady, match="partner-connector migrate"):
        revisions.require_head(empty_database)
    migrate.upgrade(empty_database)
    revisions.require_head(empty_database)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT id, host FROM executors")).one() == ("a", None)


def test_database_of_later_release_is_not_migrated(
    empty_database: Settings, engine: Engine
) -> None:
    """Let a release that was rolled back start on such a database."""
    migrate.upgrade(empty_database)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'of_next_year'"))
    migrate.upgrade(empty_database)
    revisions.require_head(empty_database)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "of_next_year"


def test_database_without_migrations_is_refused(empty_database: Settings) -> None:
    """Name the command to run."""
    with pytest.raises(revisions.DatabaseNotReady, match="partner-connector migrate"):
        revisions.require_head(empty_database)


def test_migration_tree_has_one_head_and_one_base() -> None:
    script = ScriptDirectory.from_config(revisions.alembic_config())
    assert len(script.get_heads()) == 1
    assert len(script.get_bases()) == 1
