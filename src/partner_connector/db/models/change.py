"""The change feed, which is append-only, and the plans that are not applied yet.

Both have the same form. `before` and `after` hold a user's facts, the tasks of a grant or a share;
`before` is null for an addition, `after` for a removal.
"""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from partner_connector.db.models.base import Base


class Change(Base):
    """Change that a check applied. Readers see a workspace's rows in the order of `sequence`."""

    __tablename__ = "changes"
    __table_args__ = (
        Index("ix_changes_workspace_id_kind_sequence", "workspace_id", "kind", "sequence"),
        Index("ix_changes_partner_id_sequence", "partner_id", "sequence"),
        Index("ix_changes_partner_user_id_sequence", "partner_user_id", "sequence"),
    )

    # No foreign key: the partner's row has the same workspace and a foreign key.
    workspace_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    sequence: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(32))
    occurred_at: Mapped[datetime]
    partner_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("partners.id", ondelete="CASCADE"))
    partner_user_id: Mapped[uuid.UUID | None]
    asset_id: Mapped[uuid.UUID | None]
    before: Mapped[dict[str, Any] | None]
    after: Mapped[dict[str, Any] | None]
    # No foreign key: changes outlive their jobs.
    job_id: Mapped[uuid.UUID]


class ChangeFeed(Base):
    """Last sequence of a workspace. Transactions that add changes lock this row until they end,
    so that no lower sequence becomes visible after a higher one.
    """

    __tablename__ = "change_feeds"

    workspace_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("workspaces.id", ondelete="CASCADE"), primary_key=True
    )
    last_sequence: Mapped[int] = mapped_column(BigInteger, default=0)


class PlannedChange(Base):
    """A change that a job plans to apply. Kept while a halted job waits for approval."""

    __tablename__ = "planned_changes"
    __table_args__ = (Index("ix_planned_changes_job_id_id", "job_id", "id"),)

    # SQLite generates ids only for the type INTEGER.
    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    )
    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("sync_jobs.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(32))
    partner_id: Mapped[uuid.UUID]
    partner_user_id: Mapped[uuid.UUID | None]
    asset_id: Mapped[uuid.UUID | None]
    before: Mapped[dict[str, Any] | None]
    after: Mapped[dict[str, Any] | None]
