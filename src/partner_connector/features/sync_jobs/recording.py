"""Events of a job, recorded in the transaction that changes the job.

A test ensures that all code that changes one of the columns in `_FollowedState` uses this module.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.clock import now
from partner_connector.db.models import SyncJob, SyncJobEvent
from partner_connector.db.models.sync_job_event import is_over
from partner_connector.features.sync_jobs.metrics import count_end_at_commit
from partner_connector.features.webhooks.events import sync_job_changed

# After this number of events, only changes of the status are recorded. Rate limits can make a job
# wait a hundred times, and after each wait the job reports all of its progress again.
MAX_PROGRESS_EVENTS = 400
_STEPS_PER_PHASE = 100
_END_STATUSES = frozenset({"completed", "failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class _FollowedState:
    """State of a job that its events report. An event is recorded when the state changes."""

    status: str
    waiting_reason: str | None
    resume_at: datetime | None
    phase: str
    step: int
    is_over: bool

    @classmethod
    def of(cls, job: SyncJob) -> "_FollowedState":
        return cls(
            status=job.status,
            waiting_reason=job.waiting_reason,
            resume_at=job.resume_at,
            phase=job.phase,
            step=job.done * _STEPS_PER_PHASE // job.total if job.total else job.done,
            is_over=is_over(job.status, job.phase),
        )


@asynccontextmanager
async def recorded(session: AsyncSession, job: SyncJob) -> AsyncIterator[None]:
    """Record how the job changes in the block: a job event, a webhook event and a metric.

    The webhook event is written when the job ends or halts, the metric is counted when it ends.
    """
    before = _FollowedState.of(job)
    yield
    after = _FollowedState.of(job)
    kind = _kind_of_change(before, after, events=job.last_event)
    if kind is None:
        return
    job.last_event += 1
    session.add(_event(job, kind))
    if _needs_webhook(before, after):
        await sync_job_changed(session, job)
    if before.status != after.status and after.status in _END_STATUSES:
        count_end_at_commit(session, job)


def record_first_event(session: AsyncSession, job: SyncJob) -> None:
    """Record the first event of a job that was just stored."""
    session.add(_event(job, "status_changed"))


def _kind_of_change(before: _FollowedState, after: _FollowedState, *, events: int) -> str | None:
    """Return the type of the event, or None if the change needs no event."""
    if (before.status, before.is_over) != (after.status, after.is_over):
        return "status_changed"
    if events >= MAX_PROGRESS_EVENTS:
        return None
    if (before.resume_at, before.waiting_reason) != (after.resume_at, after.waiting_reason):
        return "status_changed"
    if (before.phase, before.step) != (after.phase, after.step):
        return "progress"
    return None


def _needs_webhook(before: _FollowedState, after: _FollowedState) -> bool:
    """Return whether the job has just ended, or halted for a decision."""
    if after.status == "halted":
        return before.status != "halted"
    return after.is_over and (before.status != after.status or not before.is_over)


def _event(job: SyncJob, kind: str) -> SyncJobEvent:
    return SyncJobEvent(
        job_id=job.id,
        id=job.last_event,
        type=kind,
        occurred_at=now(),
        status=job.status,
        waiting_reason=job.waiting_reason,
        resume_at=job.resume_at,
        phase=job.phase,
        done=job.done,
        total=job.total,
        seen=job.seen,
        added=job.added,
        changed=job.changed,
        removed=job.removed,
        unchanged=job.unchanged,
        attempt=job.attempt,
        partial=job.partial,
        error_code=None if job.error is None else job.error["code"],
        final=is_over(job.status, job.phase),
    )
