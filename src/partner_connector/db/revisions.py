"""Bring the database to the newest revision: our tables by Alembic, the engine's by the engine."""

import functools

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from dbos import DBOS
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import OperationalError

from partner_connector.db.engine import (
    begin_sqlite_transaction,
    keep_a_log_ahead,
    leave_begin_to_us,
    migrations_directory,
)
from partner_connector.durable.engine import SCHEMA, engine_url
from partner_connector.settings import Settings

# One migration at a time, whoever starts it: any number that nothing else locks on will do.
_MIGRATION_LOCK = 7_260_314_415


class DatabaseNotReady(Exception):
    """The database cannot be reached, or is not at the revision this program needs."""


def alembic_config() -> Config:
    """Alembic's configuration, from the tree that came with the program."""
    config = Config()
    config.set_main_option("script_location", str(migrations_directory()))
    return config


def sync_engine(settings: Settings) -> Engine:
    """A short-lived engine without asyncio, for migrations and the command line."""
    url = settings.sqlalchemy_url()
    if settings.uses_sqlite:
        return create_engine(url, hide_parameters=True)
    return create_engine(url.set(drivername="postgresql+psycopg"), hide_parameters=True)


def upgrade(settings: Settings) -> None:
    """Migrate to head, wholly or not at all. Safe to run twice, and from two hosts at once.

    A database that a later release has migrated is left as it is.
    """
    DBOS.migrate(engine_url(settings), schema=SCHEMA)
    engine = sync_engine(settings)
    if settings.uses_sqlite:
        # Else each change of the schema would be committed by itself, and a migration that was cut
        # off could not be run again.
        event.listen(engine, "connect", leave_begin_to_us)
        event.listen(engine, "connect", keep_a_log_ahead)
        event.listen(engine, "begin", begin_sqlite_transaction)
    try:
        with engine.begin() as connection:
            if not settings.uses_sqlite:
                lock = text("SELECT pg_advisory_xact_lock(:number)")
                connection.execute(lock, {"number": _MIGRATION_LOCK})
            if not is_at_head(connection):
                config = alembic_config()
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
    finally:
        engine.dispose()


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


def is_at_head(connection: Connection) -> bool:
    """Whether our tables are at the newest revision that this program knows, or at a later one.

    A revision that it does not know is a later release's, which leaves the one before able to work
    (decisions/0022): else a migration would take every running process out of rotation.
    """
    revision = MigrationContext.configure(connection).get_current_revision()
    return revision is not None and revision not in _older_revisions()


@functools.cache
def _older_revisions() -> frozenset[str]:
    """Those before the newest. The tree comes with the program, and does not change under it."""
    tree = ScriptDirectory.from_config(alembic_config())
    return frozenset(known.revision for known in tree.walk_revisions()) - set(tree.get_heads())
