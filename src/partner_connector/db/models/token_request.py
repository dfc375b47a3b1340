"""One-time links by which a partner hands its token over. The code itself is never stored."""

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from partner_connector.db.models.base import Base, WorkspaceOwned


class TokenRequest(WorkspaceOwned, Base):
    """`open → opened → submitted → accepted | rejected | revoked`; `expired` is told by the clock.

    `code_id` is the public half of the code that finds the row, `digest` a keyed hash of all of it.
    A request that is `rejected` takes another token until `ended_at` is set.
    """

    __tablename__ = "token_requests"
    __table_args__ = (Index("ix_token_requests_partner_id_id", "partner_id", "id"),)

    partner_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("partners.id", ondelete="CASCADE"))
    # The key that made it; no foreign key, since the record outlives the key.
    api_key_id: Mapped[uuid.UUID]
    code_id: Mapped[str] = mapped_column(String(16), unique=True)
    digest: Mapped[str] = mapped_column(String(64))
    note: Mapped[str | None] = mapped_column(String(500))
    state: Mapped[str] = mapped_column(String(16), default="open")
    # How many tokens were refused, of how many that may be.
    tries: Mapped[int] = mapped_column(Integer, default=0)
    max_tries: Mapped[int] = mapped_column(Integer, default=5)
    # The proof of the token that was handed over last. A proof belongs to one request at most.
    validation_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("token_validations.id", ondelete="SET NULL"), unique=True
    )
    expires_at: Mapped[datetime]
    opened_at: Mapped[datetime | None]
    submitted_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
