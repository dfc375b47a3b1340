"""Revision of the database, and Alembic's configuration."""

import functools

import structlog
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from partner_connector.db.engine import Database, migrations_directory
from partner_connector.errors import OperatorError
from partner_connector.settings import Settings

log = structlog.get_logger()


class DatabaseNotReady(OperatorError):
    """A database that cannot be reached or is not at the revision that this program needs."""


def alembic_config() -> Config:
    """Return Alembic's configuration for the migrations of this program."""
    config = Config()
    config.set_main_option("script_location", str(migrations_directory()))
    return config


def sync_engine(settings: Settings) -> Engine:
    """Return an engine without asyncio, for migrations and the CLI. The caller disposes of it."""
    url = settings.sqlalchemy_url()
    if settings.uses_sqlite:
        return create_engine(url, hide_parameters=True)
    return create_engine(url.set(drivername="postgresql+psycopg"), hide_parameters=True)


def require_head(settings: Settings) -> None:
    """Raise `DatabaseNotReady` unless the database is reachable and at head."""
    engine = sync_engine(settings)
    try:
        with engine.connect() as connection:
            if not is_at_head(connection):
                raise DatabaseNotReady(
                    "the database is behind this version: run `partner-connector migrate`"
                )
    except OperationalError:
        raise DatabaseNotReady(
            "PARTNER_CONNECTOR_DATABASE_URL: the database cannot be reached"
        ) from None
    finally:
        engine.dispose()


async def failing_checks(database: Database) -> list[str]:
    """Return the names of failing readiness checks: `database` or `migrations`; else nothing."""
    try:
        # On SQLite a writing session would wait for other writers.
        async with database.reading() as session:
            at_head = await (await session.connection()).run_sync(is_at_head)
    except (SQLAlchemyError, OSError) as error:
        log.warning("readiness_failed", error=type(error).__name__)
        return ["database"]
    return [] if at_head else ["migrations"]


def is_at_head(connection: Connection) -> bool:
    """Return whether the tables are at the newest known revision or at a later one.

    An unknown revision belongs to a later release, whose tables this release works with: otherwise
    a migration would take every running process out of rotation. See
    `docs/explanation/decisions/0022-ending-and-upgrading.md`.
    """
    revision = MigrationContext.configure(connection).get_current_revision()
    return revision is not None and revision not in _older_revisions()


@functools.cache
def _older_revisions() -> frozenset[str]:
    """Return all revisions before the newest. Cached: the migrations do not change at run time."""
    tree = ScriptDirectory.from_config(alembic_config())
    return frozenset(known.revision for known in tree.walk_revisions()) - set(tree.get_heads())
