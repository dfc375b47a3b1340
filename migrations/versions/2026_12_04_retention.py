"""Old jobs are found by their end and by what they were a check of; failed ones say why at once."""

from alembic import op

revision = "20261204_retention"
down_revision = "20261203_webhooks"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Indexes for retention, which lists of one partner's jobs and the deletion of a partner use
    too. And what `20261201_sync_job_events` left out: the code of jobs that had failed by then.
    """
    op.create_index("ix_sync_jobs_partner_id_id", "sync_jobs", ["partner_id", "id"])
    op.create_index("ix_sync_jobs_integration_id_id", "sync_jobs", ["integration_id", "id"])
    op.create_index("ix_sync_jobs_finished_at", "sync_jobs", ["finished_at"])
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    code = "json_extract(error, '$.code')" if on_sqlite else "error ->> 'code'"
    op.execute(
        f"UPDATE sync_job_events SET error_code = (SELECT {code} FROM sync_jobs "  # noqa: S608 - no input
        "WHERE sync_jobs.id = sync_job_events.job_id) "
        "WHERE error_code IS NULL AND status = 'failed'"
    )


def downgrade() -> None:
    """The codes stay: they are true."""
    op.drop_index("ix_sync_jobs_finished_at", "sync_jobs")
    op.drop_index("ix_sync_jobs_integration_id_id", "sync_jobs")
    op.drop_index("ix_sync_jobs_partner_id_id", "sync_jobs")
