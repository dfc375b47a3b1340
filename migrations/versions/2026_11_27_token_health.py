"""Why a token needs attention, and when it is proven anew."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261127_token_health"
down_revision = "20261127_audit_chain"
branch_labels = None
depends_on = None

_JSON = sa.JSON(none_as_null=True).with_variant(
    postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
)
_ACTIVE = sa.text("state = 'active'")
_INDEX = "ix_tokens_active_next_check_at"


def upgrade() -> None:
    """The worker plans the first check of each token itself."""
    with op.batch_alter_table("tokens", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("health_reasons", _JSON, nullable=False, server_default=sa.text("'[]'"))
        )
        batch_op.add_column(sa.Column("next_check_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("proof", _JSON, nullable=True))
    with op.batch_alter_table("tokens", schema=None) as batch_op:
        batch_op.alter_column("health_reasons", existing_type=_JSON, server_default=None)
        batch_op.create_index(
            _INDEX, ["next_check_at"], sqlite_where=_ACTIVE, postgresql_where=_ACTIVE
        )


def downgrade() -> None:
    """Health stays; the reasons are found anew."""
    with op.batch_alter_table("tokens", schema=None) as batch_op:
        batch_op.drop_index(_INDEX)
        batch_op.drop_column("proof")
        batch_op.drop_column("next_check_at")
        batch_op.drop_column("health_reasons")
