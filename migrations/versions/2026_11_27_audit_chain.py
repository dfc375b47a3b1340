"""Audit events are chained by hashes, and tell what did it where that was no API key."""

import sqlalchemy as sa
from alembic import op

revision = "20261127_audit_chain"
down_revision = "20261127_staged_people"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The record begins with the chain: what was written before, in no release, could have been
    changed by anybody, and would be taken for proven.
    """
    op.execute("DELETE FROM audit_events")
    op.create_table(
        "audit_heads",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("moved_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id"],
            ["workspaces.id"],
            name=op.f("fk_audit_heads_workspace_id_workspaces"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", name=op.f("pk_audit_heads")),
    )
    op.create_index("ix_audit_heads_moved_at", "audit_heads", ["moved_at"])
    with op.batch_alter_table("audit_events", schema=None) as batch_op:
        batch_op.add_column(sa.Column("sequence", sa.BigInteger(), nullable=False))
        batch_op.add_column(sa.Column("hash", sa.String(length=64), nullable=False))
        batch_op.add_column(sa.Column("actor", sa.String(length=32), nullable=False))
        batch_op.alter_column("api_key_id", existing_type=sa.Uuid(), nullable=True)
        batch_op.create_index(
            "uq_audit_events_workspace_id_sequence", ["workspace_id", "sequence"], unique=True
        )


def downgrade() -> None:
    """Events of others than API keys cannot be told without the column that names them."""
    op.execute("DELETE FROM audit_events WHERE api_key_id IS NULL")
    with op.batch_alter_table("audit_events", schema=None) as batch_op:
        batch_op.drop_index("uq_audit_events_workspace_id_sequence")
        batch_op.alter_column("api_key_id", existing_type=sa.Uuid(), nullable=False)
        batch_op.drop_column("actor")
        batch_op.drop_column("hash")
        batch_op.drop_column("sequence")
    op.drop_table("audit_heads")
