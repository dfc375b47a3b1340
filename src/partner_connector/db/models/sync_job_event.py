"""Events of a sync job, in order. `features.sync_jobs.recording` writes them."""

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from partner_connector.db.models.base import Base
from partner_connector.db.models.sync_job import UNFINISHED


class SyncJobEvent(Base):
    """State of a job after one change. Its workspace is the job's."""

    __tablename__ = "sync_job_events"

    job_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("sync_jobs.id", ondelete="CASCADE"), primary_key=True
    )
    # Counted in the job's row, which is locked: readers see the events in order, without gaps.
    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    type: Mapped[str] = mapped_column(String(32))
    occurred_at: Mapped[datetime]
    status: Mapped[str] = mapped_column(String(16))
    waiting_reason: Mapped[str | None] = mapped_column(String(32))
    resume_at: Mapped[datetime | None]
    phase: Mapped[str] = mapped_column(String(32))
    done: Mapped[int] = mapped_column(Integer)
    total: Mapped[int | None] = mapped_column(Integer)
    seen: Mapped[int] = mapped_column(Integer)
    added: Mapped[int] = mapped_column(Integer)
    changed: Mapped[int] = mapped_column(Integer)
    removed: Mapped[int] = mapped_column(Integer)
    unchanged: Mapped[int] = mapped_column(Integer)
    attempt: Mapped[int] = mapped_column(Integer)
    partial: Mapped[bool]
    error_code: Mapped[str | None] = mapped_column(String(64))
    # True for the job's last event.
    final: Mapped[bool]


def is_over(status: str, phase: str) -> bool:
    """Return whether a job has ended.

    A parent job gets a final status at the first failure of a child, but continues in the phase
    `checking_partners` with the other children.
    """
    return status not in UNFINISHED and phase != "checking_partners"
