"""Businesses that share at least one asset with ours."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from partner_connector.clock import now
from partner_connector.db.models.base import Base, WorkspaceOwned


class Partner(WorkspaceOwned, Base):
    """A partner, as Meta lists it. The row and its id are kept when Meta no longer lists it.

    The onboarding status is not a column: it is derived from the active token, so that the two
    always agree (`features.partners.status`).
    """

    __tablename__ = "partners"
    __table_args__ = (
        UniqueConstraint("integration_id", "meta_business_id"),
        Index("ix_partners_workspace_id_name_id", "workspace_id", "name", "id"),
    )

    integration_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("integrations.id", ondelete="CASCADE")
    )
    meta_business_id: Mapped[str] = mapped_column(String(32))
    name: Mapped[str] = mapped_column(String(500))
    relationship: Mapped[str] = mapped_column(String(16))
    presence: Mapped[str] = mapped_column(String(32), default="listed")
    shared_asset_counts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    user_count: Mapped[int] = mapped_column(Integer, default=0)
    people_without_access_count: Mapped[int | None] = mapped_column(Integer)
    # Name → instant: expanded reads that Meta refused for this partner
    # (`worker.meta.unsupported_reads`).
    refused_by_meta: Mapped[dict[str, Any]] = mapped_column(default=dict)
    last_synced_at: Mapped[datetime | None]
    data_as_of: Mapped[datetime | None]
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)
