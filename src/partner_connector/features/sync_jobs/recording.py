"""Changes of a job, recorded as events in the transaction that makes them.

A test holds that nothing else in the product changes what readers of a job follow.
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

# After so many events of a job only its status is recorded: Meta can make a job wait a hundred
# times, and each time all of its progress comes again.
MOST_PROGRESS = 400
_STEPS_OF_A_PHASE = 100
_ENDS = frozenset({"completed", "failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class _Shown:
    """Columns of a job whose change makes an event."""

    status: str
    waiting_reason: str | None
    resume_at: datetime | None
    phase: str
    step: int
    is_over: bool

    @classmethod
    def of(cls, job: SyncJob) -> "_Shown":
        return cls(
            status=job.status,
            waiting_reason=job.waiting_reason,
            resume_at=job.resume_at,
            phase=job.phase,
            step=job.done * _STEPS_OF_A_PHASE // job.total if job.total else job.done,
            is_over=is_over(job.status, job.phase),
        )


@asynccontextmanager
async def recorded(session: AsyncSession, job: SyncJob) -> AsyncIterator[None]:
    """Record what the block changes of the job: its event, and the webhook and metric of an end."""
    before = _Shown.of(job)
    yield
    after = _Shown.of(job)
    kind = _kind_of_change(before, after, events=job.last_event)
    if kind is None:
        return
    job.last_event += 1
    session.add(_event(job, kind))
    if _is_news(before, after):
        await sync_job_changed(session, job)
    if before.status != after.status and after.status in _ENDS:
        count_end_at_commit(session, job)


def record_beginning(session: AsyncSession, job: SyncJob) -> None:
    """Record the first event of a job that was just stored."""
    session.add(_event(job, "status_changed"))


def _kind_of_change(before: _Shown, after: _Shown, *, events: int) -> str | None:
    """Return the type of the event, or None where there is none."""
    if (before.status, before.is_over) != (after.status, after.is_over):
        return "status_changed"
    if events >= MOST_PROGRESS:
        return None
    if (before.resume_at, before.waiting_reason) != (after.resume_at, after.waiting_reason):
        return "status_changed"
    if (before.phase, before.step) != (after.phase, after.step):
        return "progress"
    return None


def _is_news(before: _Shown, after: _Shown) -> bool:
    """Return whether the job has just come to an end, or to a halt for a decision."""
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
