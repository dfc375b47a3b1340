"""Deletion of many rows in batches, so that other writers are not blocked."""

import asyncio
import uuid

import structlog
from sqlalchemy import Select, delete, select

from partner_connector.db.engine import Database
from partner_connector.db.locks import skip_locked_rows
from partner_connector.db.models import (
    IdempotencyKey,
    SyncJob,
    Token,
    TokenValidation,
    WebhookEvent,
)

# One batch with its dependent rows takes some tenths of a second.
BATCH_SIZE = 200
# Pause between two batches, so that other writers to a SQLite file get their turn.
PAUSE_SECONDS = 0.05

DeletableTable = (
    type[SyncJob] | type[TokenValidation] | type[Token] | type[WebhookEvent] | type[IdempotencyKey]
)

log = structlog.get_logger()


async def delete_in_batches(
    database: Database, table: DeletableTable, found: Select[uuid.UUID] | Select[int]
) -> None:
    """Delete the rows of the table whose ids the query finds.

    The query runs without a lock, so a row that matches must match forever. Rows that another
    transaction has locked, for example another worker's sweep, are skipped.
    """
    deleted = 0
    while True:
        async with database.reading() as session:
            ids = (await session.scalars(found.limit(BATCH_SIZE))).all()
        if not ids:
            break
        unlocked = skip_locked_rows(select(table.id).where(table.id.in_(ids)))
        async with database.writing() as session:
            result = await session.execute(
                delete(table).where(table.id.in_(unlocked.scalar_subquery())).returning(table.id)
            )
            batch = len(result.all())
        deleted += batch
        if batch == 0 or len(ids) < BATCH_SIZE:
            break
        await asyncio.sleep(PAUSE_SECONDS)
    if deleted:
        log.info("rows_deleted", table=table.__tablename__, rows=deleted)
