"""Our own Meta business, connected with its own system-user token."""

from datetime import datetime
from typing import Any

from sqlalchemy import Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from partner_connector.clock import now
from partner_connector.db.models.base import Base, WorkspaceOwned


class Integration(WorkspaceOwned, Base):
    """An integration. `health` is the result of the last validation of our own business's token."""

    __tablename__ = "integrations"
    __table_args__ = (UniqueConstraint("workspace_id", "meta_business_id"),)

    name: Mapped[str] = mapped_column(String(200))
    meta_business_id: Mapped[str] = mapped_column(String(32))
    app_id: Mapped[str] = mapped_column(String(32))
    health: Mapped[str] = mapped_column(String(32), default="pending_validation")
    health_reasons: Mapped[list[Any]] = mapped_column(default=list)
    safeguard_percent: Mapped[int] = mapped_column(Integer, default=20)
    schedule: Mapped[dict[str, Any]]
    graph_version: Mapped[str] = mapped_column(String(8))
    last_sync_at: Mapped[datetime | None]
    # Time of the next scheduled sync job; null until the scheduler plans it.
    next_check_at: Mapped[datetime | None] = mapped_column(index=True)
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)
