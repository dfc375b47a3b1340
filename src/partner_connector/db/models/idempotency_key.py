"""Requests that were sent with an `Idempotency-Key`, and what was answered."""

from datetime import datetime

from sqlalchemy import LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from partner_connector.db.models.base import Base, WorkspaceOwned


class IdempotencyKey(WorkspaceOwned, Base):
    """One effect. Written by the transaction of the effect, as the first thing in it.

    `key` and `fingerprint` (of the whole request) are keyed hashes, `answer` is sealed: a request
    may hold a token, and an answer a secret that is shown once.
    """

    __tablename__ = "idempotency_keys"
    __table_args__ = (UniqueConstraint("workspace_id", "operation", "key"),)

    operation: Mapped[str] = mapped_column(String(80))
    key: Mapped[str] = mapped_column(String(64))
    fingerprint: Mapped[str] = mapped_column(String(64))
    # Null only inside of the transaction that makes the row.
    answer: Mapped[bytes | None] = mapped_column(LargeBinary)
    # While the answer is held for a client that prefers to wait.
    in_flight_until: Mapped[datetime | None]
    expires_at: Mapped[datetime] = mapped_column(index=True)
