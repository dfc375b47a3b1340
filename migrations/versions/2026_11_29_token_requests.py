"""One-time links by which a partner hands its token over."""

import sqlalchemy as sa
from alembic import op

revision = "20261129_token_requests"
down_revision = "20261127_one_token_once"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """None exist yet."""
    op.create_table(
        "token_requests",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("api_key_id", sa.Uuid(), nullable=False),
        sa.Column("code_id", sa.String(length=16), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("note", sa.String(length=500), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("max_tries", sa.Integer(), nullable=False),
        sa.Column("validation_id", sa.Uuid(), nullable=True),
        sa.Column("expires_at", _INSTANT, nullable=False),
        sa.Column("opened_at", _INSTANT, nullable=True),
        sa.Column("submitted_at", _INSTANT, nullable=True),
        sa.Column("ended_at", _INSTANT, nullable=True),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id"],
            ["workspaces.id"],
            name=op.f("fk_token_requests_workspace_id_workspaces"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["partner_id"],
            ["partners.id"],
            name=op.f("fk_token_requests_partner_id_partners"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["validation_id"],
            ["token_validations.id"],
            name=op.f("fk_token_requests_validation_id_token_validations"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_token_requests")),
        sa.UniqueConstraint("code_id", name=op.f("uq_token_requests_code_id")),
        sa.UniqueConstraint("validation_id", name=op.f("uq_token_requests_validation_id")),
    )
    op.create_index("ix_token_requests_workspace_id", "token_requests", ["workspace_id"])
    op.create_index("ix_token_requests_partner_id_id", "token_requests", ["partner_id", "id"])


def downgrade() -> None:
    """Links that are out do not work any more."""
    op.drop_table("token_requests")
