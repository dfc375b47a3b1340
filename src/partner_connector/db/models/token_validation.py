"""Validations of tokens, with their checks and verdicts."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from partner_connector.db.models.base import Base, WorkspaceOwned


class TokenValidation(WorkspaceOwned, Base):
    """A validation of one token.

    `purpose` is `dry_run`, `connect` (a partner's token), `integration` (our own business's token)
    or `health` (daily re-validation of an active token).
    """

    __tablename__ = "token_validations"
    __table_args__ = (Index("ix_token_validations_partner_id_id", "partner_id", "id"),)

    integration_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("integrations.id", ondelete="CASCADE")
    )
    partner_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("partners.id", ondelete="CASCADE")
    )
    token_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("tokens.id", ondelete="CASCADE"))
    purpose: Mapped[str] = mapped_column(String(16))
    status: Mapped[str] = mapped_column(String(16), default="queued")
    verdict: Mapped[str | None] = mapped_column(String(32))
    checks: Mapped[list[Any]] = mapped_column(default=list)
    attempt: Mapped[int] = mapped_column(Integer, default=1)
    # Attempts that failed through an error of this service. Waiting for Meta counts in `attempt`.
    crashes: Mapped[int] = mapped_column(Integer, default=0)
    resume_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
