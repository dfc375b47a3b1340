"""What changed between two checks: the feed that is never rewritten, and plans not yet carried out.

Both tell a change in the same words. `before` and `after` hold what it was about: a user's facts,
the tasks of a grant, a share; null where there was nothing before, or is nothing any more.
"""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from partner_connector.db.models.base import Base


class Change(Base):
    """One thing that changed. `sequence` grows in the order in which readers can see the rows."""

    __tablename__ = "changes"
    __table_args__ = (
        Index("ix_changes_workspace_id_kind_sequence", "workspace_id", "kind", "sequence"),
        Index("ix_changes_partner_id_sequence", "partner_id", "sequence"),
        Index("ix_changes_partner_user_id_sequence", "partner_user_id", "sequence"),
    )

    # No foreign key of its own: it is the partner's.
    workspace_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    sequence: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(32))
    occurred_at: Mapped[datetime]
    partner_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("partners.id", ondelete="CASCADE"))
    partner_user_id: Mapped[uuid.UUID | None]
    asset_id: Mapped[uuid.UUID | None]
    before: Mapped[dict[str, Any] | None]
    after: Mapped[dict[str, Any] | None]
    # No foreign key: the feed outlives the jobs.
    job_id: Mapped[uuid.UUID]


class ChangeFeed(Base):
    """The last sequence of a workspace. Whoever publishes holds this row until it commits, so that
    nothing with a lower sequence can appear behind a reader's back.
    """

    __tablename__ = "change_feeds"

    workspace_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("workspaces.id", ondelete="CASCADE"), primary_key=True
    )
    last_sequence: Mapped[int] = mapped_column(BigInteger, default=0)


class PlannedChange(Base):
    """What a job is about to change, in order. Kept while a halted job waits for an answer."""

    __tablename__ = "planned_changes"
    __table_args__ = (Index("ix_planned_changes_job_id_id", "job_id", "id"),)

    # On SQLite only an INTEGER counts by itself.
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
