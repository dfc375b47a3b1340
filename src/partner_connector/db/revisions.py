"""The revision of the database, and the tree of migrations."""

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
    """Names of what does not work now: `database` or `migrations`. Empty where all is well."""
    try:
        # A reading session: on SQLite any other would wait for whoever writes.
        async with database.reading() as session:
            at_head = await (await session.connection()).run_sync(is_at_head)
    except (SQLAlchemyError, OSError) as error:
        log.warning("readiness_failed", error=type(error).__name__)
        return ["database"]
    return [] if at_head else ["migrations"]


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
