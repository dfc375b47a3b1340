"""What happens to a sync job, event by event; partner users in the order of their ids."""

import sqlalchemy as sa
from alembic import op

revision = "20261201_sync_job_events"
down_revision = "20261130_idempotency_keys"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)

_UNCHANGED = (
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


def upgrade() -> None:
    """Of a job that exists already, how it is now is its first event."""
    # With a default of the database's: adding it copies no table, and a program that does not know
    # the column can still make jobs.
    op.add_column(
        "sync_jobs", sa.Column("last_event", sa.Integer(), nullable=False, server_default="1")
    )
    op.create_table(
        "sync_job_events",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("occurred_at", _INSTANT, nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("waiting_reason", sa.String(length=32), nullable=True),
        sa.Column("resume_at", _INSTANT, nullable=True),
        sa.Column("phase", sa.String(length=32), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=True),
        sa.Column("seen", sa.Integer(), nullable=False),
        sa.Column("added", sa.Integer(), nullable=False),
        sa.Column("changed", sa.Integer(), nullable=False),
        sa.Column("removed", sa.Integer(), nullable=False),
        sa.Column("unchanged", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("partial", sa.Boolean(), nullable=False),
        sa.Column("error_code", sa.String(length=64), nullable=True),
        sa.Column("final", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["sync_jobs.id"],
            name=op.f("fk_sync_job_events_job_id_sync_jobs"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("job_id", "id", name=op.f("pk_sync_job_events")),
    )
    _tell_present_jobs()
    op.create_index("ix_partner_users_workspace_id_id", "partner_users", ["workspace_id", "id"])


def _tell_present_jobs() -> None:
    same = ", ".join(_UNCHANGED)
    op.execute(
        "INSERT INTO sync_job_events "  # noqa: S608 - names of our own columns
        f"(job_id, id, type, occurred_at, {same}, error_code, final) "
        f"SELECT id, 1, 'status_changed', updated_at, {same}, NULL, "
        "status IN ('completed', 'failed', 'cancelled') AND phase <> 'checking_partners' "
        "FROM sync_jobs"
    )


def downgrade() -> None:
    """Jobs tell how they are, and no longer how they came there."""
    op.drop_index("ix_partner_users_workspace_id_id", "partner_users")
    op.drop_table("sync_job_events")
    op.drop_column("sync_jobs", "last_event")
