"""An index for the list of one partner's users by name."""

from alembic import op

revision = "20261202_users_of_a_partner"
down_revision = "20261201_sync_job_events"
branch_labels = None
depends_on = None

NAME = "ix_partner_users_partner_id_name_id"


def upgrade() -> None:
    """Without it a page walks through the users of the whole workspace until it is full."""
    op.create_index(NAME, "partner_users", ["partner_id", "name", "id"])


def downgrade() -> None:
    """Take it away."""
    op.drop_index(NAME, "partner_users")
