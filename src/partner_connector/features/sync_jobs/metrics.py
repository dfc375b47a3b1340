"""Counts sync jobs that end, once the transaction that ends them has committed."""

from sqlalchemy import event
from sqlalchemy.orm import Mapper, Session, object_session
from sqlalchemy.orm.attributes import get_history

from partner_connector.db.models import SyncJob
from partner_connector.telemetry import metrics

_ENDED = "jobs_that_end_with_this_transaction"
_ENDS = frozenset({"completed", "failed", "cancelled"})


def count_jobs_that_end() -> None:
    """From now on, in this process; asking again changes nothing."""
    for target, name, listener in (
        (SyncJob, "after_update", _note),
        (Session, "after_commit", _count),
        (Session, "after_rollback", _forget),
    ):
        if not event.contains(target, name, listener):
            event.listen(target, name, listener)


def _note(_mapper: Mapper[SyncJob], _connection: object, job: SyncJob) -> None:
    session = object_session(job)
    if session is not None and job.status in _ENDS and get_history(job, "status").has_changes():
        session.info.setdefault(_ENDED, []).append(job)


def _count(session: Session) -> None:
    for job in session.info.pop(_ENDED, ()):
        metrics.SYNC_JOBS_ENDED.labels(job.task, job.status).inc()
        if job.started_at is not None and job.finished_at is not None:
            seconds = (job.finished_at - job.started_at).total_seconds()
            metrics.SYNC_JOB_SECONDS.labels(job.task).observe(seconds)


def _forget(session: Session) -> None:
    session.info.pop(_ENDED, None)
