"""The change feed, plans that wait for an answer, what a token sees, decisions on record."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261126_changes_and_plans"
down_revision = "20261125_graph_budgets"
branch_labels = None
depends_on = None

_JSON = sa.JSON(none_as_null=True).with_variant(
    postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
)
_INSTANT = sa.DateTime(timezone=True)
_UNFINISHED = "status IN ('queued', 'running', 'waiting', 'halted')"
_OPEN = f"{_UNFINISHED} AND finished_at IS NULL AND partner_id IS NULL"
_THROUGH_GROUP = sa.text("via = 'asset_group'")
_INTEGRATION_INDEX = "uq_sync_jobs_unfinished_integration"


def upgrade() -> None:
    """The feed begins with the next check. What is known of the assets' people is compared anew."""
    op.create_table(
        "changes",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("occurred_at", _INSTANT, nullable=False),
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("partner_user_id", sa.Uuid(), nullable=True),
        sa.Column("asset_id", sa.Uuid(), nullable=True),
        sa.Column("before", _JSON, nullable=True),
        sa.Column("after", _JSON, nullable=True),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["partner_id"],
            ["partners.id"],
            name=op.f("fk_changes_partner_id_partners"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "sequence", name=op.f("pk_changes")),
    )
    op.create_index(
        "ix_changes_workspace_id_kind_sequence", "changes", ["workspace_id", "kind", "sequence"]
    )
    op.create_index("ix_changes_partner_id_sequence", "changes", ["partner_id", "sequence"])
    op.create_index(
        "ix_changes_partner_user_id_sequence", "changes", ["partner_user_id", "sequence"]
    )
    op.create_table(
        "change_feeds",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("last_sequence", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id"],
            ["workspaces.id"],
            name=op.f("fk_change_feeds_workspace_id_workspaces"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", name=op.f("pk_change_feeds")),
    )
    op.create_table(
        "planned_changes",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("partner_user_id", sa.Uuid(), nullable=True),
        sa.Column("asset_id", sa.Uuid(), nullable=True),
        sa.Column("before", _JSON, nullable=True),
        sa.Column("after", _JSON, nullable=True),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["sync_jobs.id"],
            name=op.f("fk_planned_changes_job_id_sync_jobs"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_planned_changes")),
    )
    op.create_index("ix_planned_changes_job_id_id", "planned_changes", ["job_id", "id"])
    op.create_table(
        "capabilities",
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("proven", _JSON, nullable=True),
        sa.Column("proven_at", _INSTANT, nullable=True),
        sa.Column("observed", _JSON, nullable=True),
        sa.Column("observed_at", _INSTANT, nullable=True),
        sa.Column("narrowed", _JSON, nullable=False),
        sa.ForeignKeyConstraint(
            ["partner_id"],
            ["partners.id"],
            name=op.f("fk_capabilities_partner_id_partners"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"],
            ["workspaces.id"],
            name=op.f("fk_capabilities_workspace_id_workspaces"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("partner_id", name=op.f("pk_capabilities")),
    )
    op.create_table(
        "audit_events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("occurred_at", _INSTANT, nullable=False),
        sa.Column("api_key_id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.String(length=128), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("details", _JSON, nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id"],
            ["workspaces.id"],
            name=op.f("fk_audit_events_workspace_id_workspaces"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_events")),
    )
    op.create_index(op.f("ix_audit_events_workspace_id"), "audit_events", ["workspace_id"])
    op.create_index("ix_audit_events_workspace_id_id", "audit_events", ["workspace_id", "id"])

    with op.batch_alter_table("grants") as grants:
        grants.drop_constraint(op.f("fk_grants_partner_id_partners"), type_="foreignkey")
        grants.drop_constraint(op.f("fk_grants_workspace_id_workspaces"), type_="foreignkey")
    op.drop_index(op.f("ix_grants_partner_id"), "grants")
    op.create_index("ix_grants_partner_id_asset_id", "grants", ["partner_id", "asset_id"])
    op.create_index(
        "ix_grants_partner_id_through_group",
        "grants",
        ["partner_id"],
        sqlite_where=_THROUGH_GROUP,
        postgresql_where=_THROUGH_GROUP,
    )
    op.add_column("asset_shares", sa.Column("access_digest", sa.String(64), nullable=True))
    op.add_column("staged_assets", sa.Column("access_digest", sa.String(64), nullable=True))
    op.add_column(
        "staged_assets",
        sa.Column("is_unchanged", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.add_column("integrations", sa.Column("next_check_at", _INSTANT, nullable=True))
    op.create_index(op.f("ix_integrations_next_check_at"), "integrations", ["next_check_at"])
    op.add_column("sync_jobs", sa.Column("read_with", sa.Uuid(), nullable=True))
    op.add_column("sync_jobs", sa.Column("plan", _JSON, nullable=True))
    op.add_column("sync_jobs", sa.Column("plan_expires_at", _INSTANT, nullable=True))
    op.add_column("sync_jobs", sa.Column("approved_plan", sa.String(64), nullable=True))
    _index_open_checks(_OPEN)
    if op.get_bind().dialect.name == "sqlite":
        # Tasks are compared as text there, and written as SQLite itself writes JSON.
        op.execute("UPDATE grants SET tasks = json(tasks)")


def downgrade() -> None:
    """The feed and what was decided are lost; partners and users stay as they are."""
    _index_open_checks(f"{_UNFINISHED} AND partner_id IS NULL")
    op.drop_column("sync_jobs", "approved_plan")
    op.drop_column("sync_jobs", "plan_expires_at")
    op.drop_column("sync_jobs", "plan")
    op.drop_column("sync_jobs", "read_with")
    op.drop_index(op.f("ix_integrations_next_check_at"), "integrations")
    op.drop_column("integrations", "next_check_at")
    op.drop_index("ix_grants_partner_id_through_group", "grants")
    op.drop_index("ix_grants_partner_id_asset_id", "grants")
    op.create_index(op.f("ix_grants_partner_id"), "grants", ["partner_id"])
    with op.batch_alter_table("grants") as grants:
        for column, table in (("partner_id", "partners"), ("workspace_id", "workspaces")):
            grants.create_foreign_key(
                op.f(f"fk_grants_{column}_{table}"), table, [column], ["id"], ondelete="CASCADE"
            )
    op.drop_column("staged_assets", "is_unchanged")
    op.drop_column("staged_assets", "access_digest")
    op.drop_column("asset_shares", "access_digest")
    for table in ("audit_events", "capabilities", "planned_changes", "change_feeds", "changes"):
        op.drop_table(table)


def _index_open_checks(condition: str) -> None:
    op.drop_index(_INTEGRATION_INDEX, "sync_jobs")
    op.create_index(
        _INTEGRATION_INDEX,
        "sync_jobs",
        ["integration_id"],
        unique=True,
        sqlite_where=sa.text(condition),
        postgresql_where=sa.text(condition),
    )
