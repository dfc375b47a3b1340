"""Audit events. Rows are only added; each is chained to the one before it."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from partner_connector.clock import now
from partner_connector.db.models.base import Base, WorkspaceOwned


class AuditEvent(WorkspaceOwned, Base):
    """An audit event, written in the transaction of its effect. `details` never holds a secret.

    `hash` covers the row and the hash of the previous row (`features.audit.chain`).
    """

    __tablename__ = "audit_events"
    __table_args__ = (
        Index("ix_audit_events_workspace_id_id", "workspace_id", "id"),
        Index("uq_audit_events_workspace_id_sequence", "workspace_id", "sequence", unique=True),
    )

    sequence: Mapped[int] = mapped_column(BigInteger)
    hash: Mapped[str] = mapped_column(String(64))
    occurred_at: Mapped[datetime] = mapped_column(default=now)
    # Kind of the actor: `api_key`, `worker`, `command_line`, `token_request`.
    actor: Mapped[str] = mapped_column(String(32))
    # The API key of the caller; no foreign key, because the event outlives the key.
    api_key_id: Mapped[uuid.UUID | None]
    request_id: Mapped[str] = mapped_column(String(128))
    action: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(String(64))
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)


class AuditHead(Base):
    """Chain head of a workspace. A transaction that writes an event locks this row."""

    __tablename__ = "audit_heads"

    workspace_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("workspaces.id", ondelete="CASCADE"), primary_key=True
    )
    sequence: Mapped[int] = mapped_column(BigInteger, default=0)
    hash: Mapped[str] = mapped_column(String(64))
    moved_at: Mapped[datetime] = mapped_column(index=True, default=now)
