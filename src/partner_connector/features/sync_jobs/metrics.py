"""Metrics of ended sync jobs, counted after the commit of the transaction that ends the job."""

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from partner_connector.db.models import SyncJob
from partner_connector.telemetry import metrics


def count_end_at_commit(session: AsyncSession, job: SyncJob) -> None:
    """Count the job's end when this transaction commits."""

    def count(_session: Session) -> None:
        metrics.SYNC_JOBS_ENDED.labels(job.task, job.status).inc()
        if job.started_at is not None and job.finished_at is not None:
            seconds = (job.finished_at - job.started_at).total_seconds()
            metrics.SYNC_JOB_SECONDS.labels(job.task).observe(seconds)

    event.listen(session.sync_session, "after_commit", count, once=True)
