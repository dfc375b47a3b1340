"""Who decided what. Rows are only ever added."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from partner_connector.clock import now
from partner_connector.models.base import Base, WorkspaceOwned


class AuditEvent(WorkspaceOwned, Base):
    """Written in the transaction of the effect. `details` never holds a secret."""

    __tablename__ = "audit_events"
    __table_args__ = (Index("ix_audit_events_workspace_id_id", "workspace_id", "id"),)

    occurred_at: Mapped[datetime] = mapped_column(default=now)
    # The key that asked; no foreign key, since the record outlives the key.
    api_key_id: Mapped[uuid.UUID]
    request_id: Mapped[str] = mapped_column(String(128))
    action: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(String(64))
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)
