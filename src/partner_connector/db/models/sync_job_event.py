"""What happened to a sync job, in order. Written by the flush that changes the job, and by nothing
else: whoever changes a job cannot forget to tell.
"""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, ForeignKey, Integer, String, event, insert, inspect
from sqlalchemy.orm import Mapped, Mapper, mapped_column
from sqlalchemy.orm.attributes import History

from partner_connector.clock import now
from partner_connector.db.models.base import Base
from partner_connector.db.models.sync_job import UNFINISHED, SyncJob
from partner_connector.db.models.webhook_event import put_out

# After so many events of a job only its status is told: Meta can make a job wait a hundred times,
# and each time all of its progress comes again.
MOST_PROGRESS = 400
_STEPS_OF_A_PHASE = 100

_TOLD_AS_THEY_ARE = (
    "status",
    "waiting_reason",
    "resume_at",
    "phase",
    "done",
    "total",
    "seen",
    "added",
    "changed",
    "removed",
    "unchanged",
    "attempt",
    "partial",
)


class SyncJobEvent(Base):
    """A job as it was after one change. No workspace of its own: it is the job's."""

    __tablename__ = "sync_job_events"

    job_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("sync_jobs.id", ondelete="CASCADE"), primary_key=True
    )
    # Counted in the job's row, which is locked: readers see these appear in order, without gaps.
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
    # No event follows this one.
    final: Mapped[bool]


def is_over(status: str, phase: str) -> bool:
    """Whether nothing will happen to the job any more. A parent shows the first failure of a child
    at once, and goes on with the others.
    """
    return status not in UNFINISHED and phase != "checking_partners"


@event.listens_for(SyncJob, "before_update")
def _count(_mapper: Mapper[SyncJob], _connection: Connection, job: SyncJob) -> None:
    if _kind_of_change(job) is not None:
        job.last_event += 1


@event.listens_for(SyncJob, "after_update")
def _tell_change(_mapper: Mapper[SyncJob], connection: Connection, job: SyncJob) -> None:
    if _history(job, "last_event").has_changes():
        _tell(connection, job, _kind_of_change(job) or "progress")


@event.listens_for(SyncJob, "after_insert")
def _tell_beginning(_mapper: Mapper[SyncJob], connection: Connection, job: SyncJob) -> None:
    _tell(connection, job, "status_changed")


def _tell(connection: Connection, job: SyncJob, kind: str) -> None:
    values: dict[str, Any] = {name: getattr(job, name) for name in _TOLD_AS_THEY_ARE}
    values |= {
        "job_id": job.id,
        "id": job.last_event,
        "type": kind,
        "occurred_at": now(),
        "error_code": None if job.error is None else job.error["code"],
        "final": is_over(job.status, job.phase),
    }
    connection.execute(insert(SyncJobEvent), values)
    if _is_news(job):
        put_out(connection, [_as_event(job)])


def _is_news(job: SyncJob) -> bool:
    """Whether it has just come to an end, or to a stand for a decision."""
    has_changed = _history(job, "status").has_changes()
    if job.status == "halted":
        return has_changed
    was_over = is_over(_before(job, "status"), _before(job, "phase"))
    return is_over(job.status, job.phase) and (has_changed or not was_over)


def _as_event(job: SyncJob) -> dict[str, Any]:
    return {
        "workspace_id": job.workspace_id,
        "type": f"sync_job.{job.status}",
        "occurred_at": now(),
        "integration_id": job.integration_id,
        "partner_id": job.partner_id,
        "job_id": job.id,
        "states": {
            "task": job.task,
            "trigger": job.trigger,
            "status": job.status,
            "partial": job.partial,
            "error_code": None if job.error is None else job.error["code"],
        },
    }


def _kind_of_change(job: SyncJob) -> str | None:
    """How to tell what is about to be written; None where it is not to be told."""
    was_over = is_over(_before(job, "status"), _before(job, "phase"))
    if _history(job, "status").has_changes() or was_over != is_over(job.status, job.phase):
        return "status_changed"
    if job.last_event >= MOST_PROGRESS and not _history(job, "last_event").has_changes():
        return None
    if _history(job, "resume_at").has_changes() or _history(job, "waiting_reason").has_changes():
        return "status_changed"
    if _history(job, "phase").has_changes() or _step(job) != _step_before(job):
        return "progress"
    return None


def _step(job: SyncJob) -> int:
    return _step_of(job.done, job.total)


def _step_before(job: SyncJob) -> int:
    return _step_of(_before(job, "done"), _before(job, "total"))


def _step_of(done: int, total: int | None) -> int:
    return done * _STEPS_OF_A_PHASE // total if total else done


def _before(job: SyncJob, name: str) -> Any:
    """The member as the database has it until this flush."""
    history = _history(job, name)
    return history.deleted[0] if history.deleted else getattr(job, name)


def _history(job: SyncJob, name: str) -> History:
    return inspect(job).attrs[name].history
