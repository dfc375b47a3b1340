"""Deleting many rows without holding up those who write meanwhile."""

import asyncio
import uuid

import structlog
from sqlalchemy import Select, delete, select

from partner_connector.db.engine import Database
from partner_connector.db.locks import only_free
from partner_connector.db.models import (
    IdempotencyKey,
    SyncJob,
    Token,
    TokenValidation,
    WebhookEvent,
)

# With all that goes with them, some tenths of a second.
ROWS_AT_A_TIME = 200
# Between two pieces, so that others who write to a SQLite file get their turn.
REST_SECONDS = 0.05

Swept = (
    type[SyncJob] | type[TokenValidation] | type[Token] | type[WebhookEvent] | type[IdempotencyKey]
)

log = structlog.get_logger()


async def delete_in_pieces(
    database: Database, table: Swept, found: Select[uuid.UUID] | Select[int]
) -> None:
    """Delete the rows of the table whose ids the query finds.

    They are found without a lock, so what is found must be so for ever. Those that somebody else
    holds, such as a worker that deletes the same, are left to them.
    """
    deleted = 0
    while True:
        async with database.reading() as session:
            ids = (await session.scalars(found.limit(ROWS_AT_A_TIME))).all()
        if not ids:
            break
        free = only_free(select(table.id).where(table.id.in_(ids)))
        async with database.writing() as session:
            gone = await session.execute(
                delete(table).where(table.id.in_(free.scalar_subquery())).returning(table.id)
            )
            piece = len(gone.all())
        deleted += piece
        if piece == 0 or len(ids) < ROWS_AT_A_TIME:
            break
        await asyncio.sleep(REST_SECONDS)
    if deleted:
        log.info("rows_deleted", table=table.__tablename__, rows=deleted)
