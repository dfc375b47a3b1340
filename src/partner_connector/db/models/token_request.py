"""Token requests: one-time links with which a partner hands over its token."""

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from partner_connector.db.models.base import Base, WorkspaceOwned


class TokenRequest(WorkspaceOwned, Base):
    """A token request: `open → opened → submitted → accepted | rejected | revoked`.

    The state `expired` is not stored: it follows from `expires_at`. The code is never stored:
    `code_id` is its public half, `digest` a keyed hash of the whole code. A `rejected` request
    accepts another token until `ended_at` is set.
    """

    __tablename__ = "token_requests"
    __table_args__ = (Index("ix_token_requests_partner_id_id", "partner_id", "id"),)

    partner_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("partners.id", ondelete="CASCADE"))
    # The API key that made the request; no foreign key, because the request outlives the key.
    api_key_id: Mapped[uuid.UUID]
    code_id: Mapped[str] = mapped_column(String(16), unique=True)
    digest: Mapped[str] = mapped_column(String(64))
    note: Mapped[str | None] = mapped_column(String(500))
    state: Mapped[str] = mapped_column(String(16), default="open")
    # Number of refused tokens, and its maximum.
    tries: Mapped[int] = mapped_column(Integer, default=0)
    max_tries: Mapped[int] = mapped_column(Integer, default=5)
    # Validation of the last token that was handed over. It belongs to one request at most.
    validation_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("token_validations.id", ondelete="SET NULL"), unique=True
    )
    expires_at: Mapped[datetime]
    opened_at: Mapped[datetime | None]
    submitted_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
