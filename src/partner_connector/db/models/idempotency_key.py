"""Requests with an `Idempotency-Key`, and their responses."""

from datetime import datetime

from sqlalchemy import LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from partner_connector.db.models.base import Base, WorkspaceOwned


class IdempotencyKey(WorkspaceOwned, Base):
    """A request with an `Idempotency-Key`. The row is the first write of the request's transaction.

    `key` and `fingerprint` (of the whole request) are keyed hashes and `answer`, the response, is
    encrypted: a request may hold a token, and a response a secret that is shown once.
    """

    __tablename__ = "idempotency_keys"
    __table_args__ = (UniqueConstraint("workspace_id", "operation", "key"),)

    operation: Mapped[str] = mapped_column(String(80))
    key: Mapped[str] = mapped_column(String(64))
    fingerprint: Mapped[str] = mapped_column(String(64))
    # Null only within the transaction that inserts the row.
    answer: Mapped[bytes | None] = mapped_column(LargeBinary)
    # Until then the first request may still wait for its final response (`Prefer: wait`).
    in_flight_until: Mapped[datetime | None]
    expires_at: Mapped[datetime] = mapped_column(index=True)
