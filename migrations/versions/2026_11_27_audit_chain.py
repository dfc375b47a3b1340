"""Audit events are chained by hashes, and tell what did it where that was no API key."""

import sqlalchemy as sa
from alembic import op

revision = "20261127_audit_chain"
down_revision = "20261127_staged_people"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Only the program has the key to the chain: it takes up older rows with the next event."""
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
        batch_op.add_column(sa.Column("sequence", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("hash", sa.String(length=64), nullable=True))
        batch_op.add_column(
            sa.Column("actor", sa.String(length=32), nullable=False, server_default="api_key")
        )
        batch_op.alter_column("api_key_id", existing_type=sa.Uuid(), nullable=True)
    with op.batch_alter_table("audit_events", schema=None) as batch_op:
        batch_op.alter_column("actor", existing_type=sa.String(length=32), server_default=None)
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
