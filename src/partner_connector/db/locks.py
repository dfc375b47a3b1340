"""Row locks, which every transaction takes in the same order.

`docs/explanation/architecture.md#locks` has the order and its reasons.

Transactions that lock rows in the same order cannot deadlock. The order is that of the locks at the
end of this module.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any, Generic, TypeVar

import structlog
from sqlalchemy import ColumnElement, Select, event, inspect, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, SessionTransaction

from partner_connector.db import models

# True: raise instead of logging, in tests and in development with `ASSERT_LOCK_ORDER`.
raise_on_violation = False

_HELD = "partner_connector.locks"
_BEFORE_ALL_IDS = uuid.UUID(int=0)
_places = count()

Row = TypeVar("Row", bound=models.Base)
Query = TypeVar("Query", bound=Select[Any])

log = structlog.get_logger()


class LockOrderError(Exception):
    """A lock that was taken after a lock which comes later in the order."""


@dataclass(frozen=True, slots=True)
class _Held:
    """A locked row, and the transaction or savepoint in which it was locked."""

    place: int
    row_id: uuid.UUID
    name: str
    transaction: SessionTransaction


_Rows = dict[tuple[type[models.Base], uuid.UUID | None], _Held]


class RowLock(Generic[Row]):
    """A lock on rows of a table, with a place in the order."""

    def __init__(self, name: str, model: type[Row]) -> None:
        self.name = name
        self._model = model
        self._place = next(_places)

    async def __call__(
        self,
        session: AsyncSession,
        row_id: uuid.UUID | None,
        *only: ColumnElement[bool],
        key_share: bool = False,
        read: bool = False,
        skip_locked: bool = False,
    ) -> Row | None:
        """Lock the row with this id and return its latest state; None if it does not exist.

        A row that does not meet the conditions `only` counts as not existing. A row that the
        transaction has already locked may be locked again at any time. A lock out of order raises
        `LockOrderError` or is logged as an error (`raise_on_violation`).
        """
        rows = _rows(session)
        is_held = (self._model, row_id) in rows
        if not is_held:
            self._check(rows, row_id or _BEFORE_ALL_IDS)
        locked = (
            select(self._model)
            .where(self._key() == row_id, *only)
            .with_for_update(key_share=key_share, read=read, skip_locked=skip_locked)
            # Keep unsaved changes of a row that the transaction has already locked.
            .execution_options(populate_existing=not is_held)
        )
        row = await session.scalar(locked)
        if row is not None and row_id is not None:
            self._note(session, row_id)
        return row

    async def all(self, session: AsyncSession, *which: ColumnElement[bool]) -> list[Row]:
        """Lock the rows that meet the conditions, in the order of their ids.

        Return their latest state. A lock out of order raises `LockOrderError` or is logged as an
        error (`raise_on_violation`).
        """
        self._check(_rows(session), _BEFORE_ALL_IDS)
        locked = select(self._model).where(*which).order_by(self._key()).with_for_update()
        found = await session.scalars(locked.execution_options(populate_existing=True))
        rows = list(found)
        for row in rows:
            self._note(session, inspect(self._model).primary_key_from_instance(row)[0])
        return rows

    def _key(self) -> ColumnElement[uuid.UUID]:
        return inspect(self._model).primary_key[0]

    def _check(self, rows: _Rows, row_id: uuid.UUID) -> None:
        last = max(rows.values(), key=lambda held: (held.place, held.row_id), default=None)
        if last is None or (self._place, row_id) > (last.place, last.row_id):
            return
        if raise_on_violation:
            raise LockOrderError(f"{self.name} is locked after {last.name}")
        log.error("lock_order_violated", lock=self.name, after=last.name)

    def _note(self, session: AsyncSession, row_id: uuid.UUID) -> None:
        begun = session.sync_session
        transaction = begun.get_nested_transaction() or begun.get_transaction()
        assert transaction is not None
        held = _Held(self._place, row_id, self.name, transaction)
        _rows(session).setdefault((self._model, row_id), held)


def skip_locked_rows(query: Query) -> Query:
    """Lock the rows of a query that no other transaction has locked, and skip the others.

    For rows that are changed without other rows: such a lock never waits and needs no place in the
    order.
    """
    return query.with_for_update(skip_locked=True)


def lock_for_share(query: Query) -> Query:
    """Lock the rows of a query against changes. For the workflow run, after all other locks."""
    return query.with_for_update(read=True)


def _rows(session: AsyncSession) -> _Rows:
    """Return the rows that the session's current transaction has locked."""
    transaction = session.sync_session.get_transaction()
    begun: SessionTransaction | None
    rows: _Rows
    begun, rows = session.info.get(_HELD, (None, {}))
    if begun is not transaction:
        rows = {}
        session.info[_HELD] = (transaction, rows)
    return rows


@event.listens_for(Session, "after_soft_rollback")
def _forget(session: Session, ended: SessionTransaction) -> None:
    """Forget the locks of a savepoint that was rolled back: the database has released them."""
    _, rows = session.info.get(_HELD, (None, {}))
    for key in [key for key, held in rows.items() if ended in _enclosing(held.transaction)]:
        del rows[key]


def _enclosing(transaction: SessionTransaction | None) -> Iterator[SessionTransaction]:
    while transaction is not None:
        yield transaction
        transaction = transaction.parent


# The order: each lock is taken after those above it.
lock_job = RowLock("job", models.SyncJob)
lock_partner_jobs = RowLock("jobs of partners", models.SyncJob)
lock_integration = RowLock("integration", models.Integration)
lock_partner = RowLock("partner", models.Partner)
lock_capability = RowLock("capability", models.Capability)
lock_token = RowLock("token", models.Token)
lock_validation = RowLock("token validation", models.TokenValidation)
lock_parent_job = RowLock("parent job", models.SyncJob)
lock_token_request = RowLock("token request", models.TokenRequest)
lock_api_key = RowLock("API key", models.ApiKey)
lock_workspace = RowLock("workspace", models.Workspace)
lock_webhook_feed = RowLock("webhook feed", models.WebhookFeed)
lock_webhook_endpoint = RowLock("webhook endpoint", models.WebhookEndpoint)
lock_delivery = RowLock("delivery", models.WebhookDelivery)
lock_audit_head = RowLock("audit head", models.AuditHead)
