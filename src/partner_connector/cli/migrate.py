"""Bring the database to the newest revision: our tables by Alembic, the engine's by the engine."""

from alembic import command
from sqlalchemy import event, text

from partner_connector.db.engine import (
    begin_sqlite_transaction,
    keep_a_log_ahead,
    leave_begin_to_us,
)
from partner_connector.db.revisions import alembic_config, is_at_head, sync_engine
from partner_connector.durable.engine import migrate_tables
from partner_connector.settings import Settings

# One migration at a time, whoever starts it: any number that nothing else locks on will do.
_MIGRATION_LOCK = 7_260_314_415


def upgrade(settings: Settings) -> None:
    """Migrate to head, wholly or not at all. Safe to run twice, and from two hosts at once.

    A database that a later release has migrated is left as it is.
    """
    migrate_tables(settings)
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
