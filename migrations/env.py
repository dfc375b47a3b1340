"""How Alembic reaches our tables, on SQLite and on PostgreSQL alike."""

from typing import Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import JSON, Connection

from partner_connector.db.models import Base
from partner_connector.db.models.base import UtcDateTime
from partner_connector.db.revisions import sync_engine
from partner_connector.settings import load_settings

# The durable engine lives in the same SQLite file; its tables are its own.
OUR_TABLES = frozenset(Base.metadata.tables)


def ours(_object: object, name: str | None, kind: str, _reflected: bool, _other: object) -> bool:
    """Only our tables are compared and dropped."""
    return kind != "table" or name in OUR_TABLES


def render(kind: str, item: object, autogen_context: AutogenContext) -> str | Literal[False]:
    """Write our two portable types the way SQLAlchemy spells them: migrations import none of us."""
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
    """Run the asked-for revisions on this connection."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        include_object=ours,
        # SQLite cannot alter a constraint in place: Alembic copies the table instead.
        render_as_batch=True,
        compare_type=True,
        render_item=render,
    )
    if connection.dialect.name == "postgresql":
        # A migration that waits for a lock makes every later query wait behind it.
        connection.exec_driver_sql("SET lock_timeout = '10s'")
    with context.begin_transaction():
        context.run_migrations()


given: Connection | None = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    engine = sync_engine(load_settings())
    with engine.begin() as own:
        run(own)
    engine.dispose()
