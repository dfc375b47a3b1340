"""Alembic environment for SQLite and PostgreSQL."""

from typing import Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import JSON, Connection

from partner_connector.db.models import Base
from partner_connector.db.models.base import UtcDateTime
from partner_connector.db.revisions import sync_engine
from partner_connector.settings import load_settings

# DBOS has its tables in the same SQLite file; Alembic must not touch those.
PRODUCT_TABLES = frozenset(Base.metadata.tables)


def is_product_table(
    _object: object, name: str | None, kind: str, _reflected: bool, _other: object
) -> bool:
    """Return whether Alembic compares or drops the object: of tables only the product's own."""
    return kind != "table" or name in PRODUCT_TABLES


def render(kind: str, item: object, autogen_context: AutogenContext) -> str | Literal[False]:
    """Return SQLAlchemy code for the two portable types: migrations import no product code."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, JSON):
        autogen_context.imports.add("from sqlalchemy.dialects import postgresql")
        return (
            "sa.JSON(none_as_null=True).with_variant("
            "postgresql.JSONB(none_as_null=True), 'postgresql')"
        )
    return False


def run(connection: Connection) -> None:
    """Run the requested migrations on this connection."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        include_object=is_product_table,
        # SQLite cannot change a constraint: Alembic copies the table instead.
        render_as_batch=True,
        compare_type=True,
        render_item=render,
    )
    if connection.dialect.name == "postgresql":
        # While a migration waits for a lock, all later queries of the table wait too.
        connection.exec_driver_sql("SET lock_timeout = '10s'")
    with context.begin_transaction():
        context.run_migrations()


shared_connection: Connection | None = context.config.attributes.get("connection")
if shared_connection is not None:
    run(shared_connection)
else:
    engine = sync_engine(load_settings())
    with engine.begin() as new_connection:
        run(new_connection)
    engine.dispose()
