"""Partners remember which shorter ways of asking Meta refuses for them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261124_refused_by_meta"
down_revision = "20261124_first_tables"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Empty for partners that exist."""
    op.add_column(
        "partners",
        sa.Column(
            "refused_by_meta",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True), "postgresql"
            ),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
    )


def downgrade() -> None:
    """What was remembered is only a shortcut."""
    op.drop_column("partners", "refused_by_meta")
