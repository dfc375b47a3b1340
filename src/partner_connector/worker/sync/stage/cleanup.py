"""What jobs leave behind in the staging tables, cleared away in small pieces.

A job that ends has up to millions of rows there. They are not deleted in the transaction that ends
it: that would hold its locks, and on SQLite every writer, for as long as it takes.
"""

import asyncio
import uuid

from sqlalchemy import (
    ColumnElement,
    CursorResult,
    Select,
    Table,
    any_,
    delete,
    func,
    literal_column,
    or_,
    select,
    union,
)
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.engine import Database
from partner_connector.db.locks import lock_job
from partner_connector.db.models import Base, SyncJob
