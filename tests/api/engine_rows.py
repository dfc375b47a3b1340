"""Work items in the table of the durable engine."""

from sqlalchemy import text

from partner_connector.db.engine import Database


async def enqueued(database: Database) -> list[str]:
    """Return the ids of all workflows that were ever enqueued, oldest first."""
    on_sqlite = database.engine.dialect.name == "sqlite"
    table = "workflow_status" if on_sqlite else "dbos.workflow_status"
    query = text(f"SELECT workflow_uuid FROM {table} ORDER BY created_at")  # noqa: S608
    async with database.reading() as session:
        return list((await session.scalars(query)).all())
