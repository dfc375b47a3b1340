"""Migrations: our tables by Alembic, the tables of the durable engine by the engine itself."""

from alembic import command
from sqlalchemy import event, text

from partner_connector.db.engine import (
    begin_sqlite_transaction,
    disable_driver_transactions,
    enable_wal,
)
from partner_connector.db.revisions import alembic_config, is_at_head, sync_engine
from partner_connector.durable.dbos_internals import allow_only_json
from partner_connector.durable.engine import migrate_tables
from partner_connector.settings import Settings

# Allows one migration at a time. The number is arbitrary; nothing else uses it.
_MIGRATION_LOCK = 7_260_314_415


def upgrade(settings: Settings) -> None:
    """Migrate the tables of the durable engine, then ours to head in one transaction.

    Safe to run twice, and from two hosts at once. Leaves our tables unchanged if a later release
    has migrated them.
    """
    migrate_tables(settings)
    engine = sync_engine(settings)
    if settings.uses_sqlite:
        # Without these each change of the schema would be committed on its own, and an interrupted
        # migration could not be run again.
        event.listen(engine, "connect", disable_driver_transactions)
        event.listen(engine, "connect", enable_wal)
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
            allow_only_json(connection)
    finally:
        engine.dispose()
