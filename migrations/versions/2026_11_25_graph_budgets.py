"""What is known of Meta's limits is shared by all workers."""

import sqlalchemy as sa
from alembic import op

revision = "20261125_graph_budgets"
down_revision = "20261124_refused_by_meta"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Empty: a worker learns the limits anew from Meta's next answers."""
    op.create_table(
        "graph_budgets",
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("percent", sa.Float(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("blocked_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("blocks", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_graph_budgets")),
    )
    with op.batch_alter_table("graph_budgets", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_graph_budgets_blocked_until"), ["blocked_until"])
        batch_op.create_index(batch_op.f("ix_graph_budgets_seen_at"), ["seen_at"])


def downgrade() -> None:
    """What was known goes stale within an hour anyway."""
    op.drop_table("graph_budgets")
