"""Sync jobs. The API shows these rows."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from partner_connector.clock import now
from partner_connector.db.models.base import Base, WorkspaceOwned, partial_index

UNFINISHED = ("queued", "running", "waiting", "halted")
_UNFINISHED_SQL = "status IN ('queued', 'running', 'waiting', 'halted')"
# A parent job has ended when only plans of its children wait for approval: they must not block the
# next sync job of the other partners.
_OPEN_SQL = f"{_UNFINISHED_SQL} AND finished_at IS NULL"


class SyncJob(WorkspaceOwned, Base):
    """A sync job. `attempt` counts its runs; a waiting job resumes as the next attempt."""

    __tablename__ = "sync_jobs"
    __table_args__ = (
        partial_index(
            "uq_sync_jobs_unfinished_partner",
            "partner_id",
            unique=True,
            where=f"{_UNFINISHED_SQL} AND partner_id IS NOT NULL",
        ),
        partial_index(
            "uq_sync_jobs_unfinished_integration",
            "integration_id",
            unique=True,
            where=f"{_OPEN_SQL} AND partner_id IS NULL",
        ),
        Index("ix_sync_jobs_workspace_id_id", "workspace_id", "id"),
        Index("ix_sync_jobs_partner_id_id", "partner_id", "id"),
        Index("ix_sync_jobs_integration_id_id", "integration_id", "id"),
        Index("ix_sync_jobs_finished_at", "finished_at"),
    )

    integration_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("integrations.id", ondelete="CASCADE")
    )
    partner_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("partners.id", ondelete="CASCADE")
    )
    parent_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("sync_jobs.id", ondelete="CASCADE"), index=True
    )
    task: Mapped[str] = mapped_column(String(32))
    trigger: Mapped[str] = mapped_column(String(16))
    status: Mapped[str] = mapped_column(String(16), default="queued")
    waiting_reason: Mapped[str | None] = mapped_column(String(32))
    resume_at: Mapped[datetime | None]
    # True when this job's own work is done; a parent then only sums up its children.
    own_work_done: Mapped[bool] = mapped_column(default=False)
    phase: Mapped[str] = mapped_column(String(32), default="queued")
    done: Mapped[int] = mapped_column(Integer, default=0)
    total: Mapped[int | None] = mapped_column(Integer)
    seen: Mapped[int] = mapped_column(Integer, default=0)
    added: Mapped[int] = mapped_column(Integer, default=0)
    changed: Mapped[int] = mapped_column(Integer, default=0)
    removed: Mapped[int] = mapped_column(Integer, default=0)
    unchanged: Mapped[int] = mapped_column(Integer, default=0)
    graph_calls: Mapped[int] = mapped_column(Integer, default=0)
    attempt: Mapped[int] = mapped_column(Integer, default=1)
    # Attempts that failed through an error of this service. Waiting for Meta counts in `attempt`.
    crashes: Mapped[int] = mapped_column(Integer, default=0)
    partial: Mapped[bool] = mapped_column(default=False)
    warnings: Mapped[list[Any]] = mapped_column(default=list)
    error: Mapped[dict[str, Any] | None]
    # The token with which the lists were read; another token may see more or less.
    read_with: Mapped[uuid.UUID | None]
    # Why the safeguard halted the job, and the counts of the plan
    # (`worker.sync.apply.safeguard`).
    plan: Mapped[dict[str, Any] | None]
    plan_expires_at: Mapped[datetime | None]
    # Digest of the approved plan; only that plan is applied.
    approved_plan: Mapped[str | None] = mapped_column(String(64))
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)
    # Id of the job's newest event (`models.sync_job_event`).
    last_event: Mapped[int] = mapped_column(Integer, default=1, server_default="1")
