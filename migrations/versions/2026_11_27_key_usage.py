"""When an API key was last used."""

import sqlalchemy as sa
from alembic import op

revision = "20261127_key_usage"
down_revision = "20261127_token_health"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Unknown for keys that were used before."""
    with op.batch_alter_table("api_keys", schema=None) as batch_op:
        batch_op.add_column(sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    """Nothing rests on it."""
    with op.batch_alter_table("api_keys", schema=None) as batch_op:
        batch_op.drop_column("last_used_at")
