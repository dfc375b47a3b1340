"""Whom the staged grants name is noted with the people, which needs no index of the grants."""

import sqlalchemy as sa
from alembic import op

revision = "20261127_staged_people"
down_revision = "20261126_changes_and_plans"
branch_labels = None
depends_on = None

_INDEX = "ix_staged_grants_job_id_meta_user_id"


def upgrade() -> None:
    """A check under way finds it out when it applies."""
    with op.batch_alter_table("staged_users", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("has_grants", sa.Boolean(), nullable=False, server_default=sa.false())
        )
    with op.batch_alter_table("staged_users", schema=None) as batch_op:
        batch_op.alter_column("has_grants", server_default=None)
    op.drop_index(_INDEX, table_name="staged_grants")


def downgrade() -> None:
    """The index is asked for again."""
    op.create_index(_INDEX, "staged_grants", ["job_id", "meta_user_id"])
    with op.batch_alter_table("staged_users", schema=None) as batch_op:
        batch_op.drop_column("has_grants")
