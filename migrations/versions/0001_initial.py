"""All tables of the first release.

Before that release this revision is edited in place: delete a development database after an edit.
After the release, each change of the tables is a separate revision.

`env.py` applies the naming convention of the models to the constraints.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001_initial"
down_revision = None
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)
_JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
# SQLite generates ids only for the type INTEGER.
_GENERATED_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_ACTIVE = "state = 'active'"
_UNFINISHED = "status IN ('queued', 'running', 'waiting', 'halted')"

# In the order of their creation: a table comes after the tables that it references.
_TABLES = (
    "executors",
    "graph_budgets",
    "workspaces",
    "api_keys",
    "audit_events",
    "audit_heads",
    "idempotency_keys",
    "integrations",
    "partners",
    "assets",
    "asset_shares",
    "partner_users",
    "grants",
    "tokens",
    "capabilities",
    "token_validations",
    "token_requests",
    "sync_jobs",
    "sync_job_events",
    "planned_changes",
    "staged_assets",
    "staged_grants",
    "staged_partners",
    "staged_users",
    "changes",
    "change_feeds",
    "webhook_endpoints",
    "webhook_secrets",
    "webhook_feeds",
    "webhook_events",
    "webhook_deliveries",
)


def upgrade() -> None:
    """Create every table."""
    _create_processes()
    _create_workspaces()
    _create_partners()
    _create_tokens()
    _create_sync_jobs()
    _create_staging()
    _create_changes()
    _create_webhooks()


def downgrade() -> None:
    """Drop every table with all its rows."""
    for table in reversed(_TABLES):
        op.drop_table(table)


def _create_processes() -> None:
    """Create what all processes share: live workers and the limits that Meta reported."""
    op.create_table(
        "executors",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("beat_at", _INSTANT, nullable=False),
    )
    op.create_table(
        "graph_budgets",
        sa.Column("key", sa.String(200), primary_key=True),
        sa.Column("percent", sa.Float(), nullable=False),
        sa.Column("seen_at", _INSTANT, nullable=False, index=True),
        sa.Column("blocked_until", _INSTANT, index=True),
        sa.Column("blocks", sa.Integer(), nullable=False),
    )


def _create_workspaces() -> None:
    """Create workspaces with their API keys, audit chain and idempotency keys."""
    op.create_table(
        "workspaces",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Uuid(), primary_key=True),
        _reference("workspace_id", "workspaces", nullable=False, index=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("key_id", sa.String(16), nullable=False, unique=True),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("scopes", _JSON, nullable=False),
        sa.Column("expires_at", _INSTANT),
        sa.Column("revoked_at", _INSTANT),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("last_used_at", _INSTANT),
    )
    op.create_table(
        "audit_events",
        sa.Column("id", sa.Uuid(), primary_key=True),
        _reference("workspace_id", "workspaces", nullable=False, index=True),
        sa.Column("occurred_at", _INSTANT, nullable=False),
        sa.Column("api_key_id", sa.Uuid()),
        sa.Column("request_id", sa.String(128), nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("subject", sa.String(64), nullable=False),
        sa.Column("details", _JSON, nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("actor", sa.String(32), nullable=False),
        sa.Index("ix_audit_events_workspace_id_id", "workspace_id", "id"),
        sa.Index("uq_audit_events_workspace_id_sequence", "workspace_id", "sequence", unique=True),
    )
    op.create_table(
        "audit_heads",
        _reference("workspace_id", "workspaces", primary_key=True),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("moved_at", _INSTANT, nullable=False, index=True),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("id", sa.Uuid(), primary_key=True),
        _reference("workspace_id", "workspaces", nullable=False, index=True),
        sa.Column("operation", sa.String(80), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("answer", sa.LargeBinary()),
        sa.Column("in_flight_until", _INSTANT),
        sa.Column("expires_at", _INSTANT, nullable=False, index=True),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.UniqueConstraint("workspace_id", "operation", "key"),
    )


def _create_partners() -> None:
    """Create integrations, their partners, the shared assets and the users with access."""
    op.create_table(
        "integrations",
        sa.Column("id", sa.Uuid(), primary_key=True),
        _reference("workspace_id", "workspaces", nullable=False, index=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("meta_business_id", sa.String(32), nullable=False),
        sa.Column("app_id", sa.String(32), nullable=False),
        sa.Column("health", sa.String(32), nullable=False),
        sa.Column("health_reasons", _JSON, nullable=False),
        sa.Column("safeguard_percent", sa.Integer(), nullable=False),
        sa.Column("schedule", _JSON, nullable=False),
        sa.Column("graph_version", sa.String(8), nullable=False),
        sa.Column("last_sync_at", _INSTANT),
        sa.Column("updated_at", _INSTANT, nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("next_check_at", _INSTANT, index=True),
        sa.UniqueConstraint("workspace_id", "meta_business_id"),
    )
    op.create_table(
        "partners",
        sa.Column("id", sa.Uuid(), primary_key=True),
        _reference("workspace_id", "workspaces", nullable=False, index=True),
        _reference("integration_id", "integrations", nullable=False),
        sa.Column("meta_business_id", sa.String(32), nullable=False),
        sa.Column("name", sa.String(500), nullable=False),
        sa.Column("relationship", sa.String(16), nullable=False),
        sa.Column("presence", sa.String(32), nullable=False),
        sa.Column("shared_asset_counts", _JSON, nullable=False),
        sa.Column("user_count", sa.Integer(), nullable=False),
        sa.Column("people_without_access_count", sa.Integer()),
        sa.Column("last_synced_at", _INSTANT),
        sa.Column("data_as_of", _INSTANT),
        sa.Column("updated_at", _INSTANT, nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("refused_by_meta", _JSON, server_default=sa.text("'{}'"), nullable=False),
        sa.UniqueConstraint("integration_id", "meta_business_id"),
        sa.Index("ix_partners_workspace_id_name_id", "workspace_id", "name", "id"),
    )
    op.create_table(
        "assets",
        sa.Column("id", sa.Uuid(), primary_key=True),
        _reference("workspace_id", "workspaces", nullable=False, index=True),
        _reference("integration_id", "integrations", nullable=False),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("meta_id", sa.String(32), nullable=False),
        sa.Column("name", sa.String(500), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.UniqueConstraint("integration_id", "type", "meta_id"),
    )
    op.create_table(
        "asset_shares",
        _reference("partner_id", "partners", primary_key=True),
        _reference("asset_id", "assets", primary_key=True, index=True),
        _reference("workspace_id", "workspaces", nullable=False),
        sa.Column("direction", sa.String(32), nullable=False),
        sa.Column("permitted_tasks", _JSON),
        sa.Column("first_seen_at", _INSTANT, nullable=False),
        sa.Column("access_digest", sa.String(64)),
    )
    op.create_table(
        "partner_users",
        sa.Column("id", sa.Uuid(), primary_key=True),
        _reference("workspace_id", "workspaces", nullable=False, index=True),
        _reference("integration_id", "integrations", nullable=False),
        _reference("partner_id", "partners", nullable=False),
        sa.Column("meta_user_id", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("name", sa.String(500), nullable=False),
        sa.Column("email", sa.String(320)),
        sa.Column("title", sa.String(500)),
        sa.Column("role", sa.String(64)),
        sa.Column("role_class", sa.String(16), nullable=False),
        sa.Column("two_factor", sa.String(16), nullable=False),
        sa.Column("finance_permission", sa.String(64)),
        sa.Column("asset_count", sa.Integer(), nullable=False),
        sa.Column("first_seen_at", _INSTANT, nullable=False),
        sa.Column("last_seen_at", _INSTANT, nullable=False),
        sa.Column("removed_at", _INSTANT),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.UniqueConstraint("partner_id", "meta_user_id"),
        sa.Index("ix_partner_users_partner_id_name_id", "partner_id", "name", "id"),
        sa.Index("ix_partner_users_workspace_id_email", "workspace_id", "email"),
        sa.Index("ix_partner_users_workspace_id_id", "workspace_id", "id"),
        sa.Index("ix_partner_users_workspace_id_name_id", "workspace_id", "name", "id"),
    )
    op.create_table(
        "grants",
        _reference("partner_user_id", "partner_users", primary_key=True),
        _reference("asset_id", "assets", primary_key=True, index=True),
        sa.Column("via", sa.String(16), primary_key=True),
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("tasks", _JSON, nullable=False),
        sa.Column("full_control", sa.Boolean(), nullable=False),
        sa.Column("granted_at", _INSTANT, nullable=False),
        sa.Index("ix_grants_partner_id_asset_id", "partner_id", "asset_id"),
        _partial_index(
            "ix_grants_partner_id_through_group", "partner_id", where="via = 'asset_group'"
        ),
    )


def _create_tokens() -> None:
    """Create tokens, what they can see, their validations and the links to hand them over."""
    op.create_table(
        "tokens",
        sa.Column("id", sa.Uuid(), primary_key=True),
        _reference("workspace_id", "workspaces", nullable=False, index=True),
        _reference("integration_id", "integrations", nullable=False),
        _reference("partner_id", "partners"),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("sealed", sa.LargeBinary()),
        sa.Column("sealed_as", sa.String(16), nullable=False),
        sa.Column("key_id", sa.String(32), nullable=False),
        sa.Column("fingerprint", sa.String(64)),
        sa.Column("app_id", sa.String(32)),
        sa.Column("type", sa.String(32)),
        sa.Column("system_user_id", sa.String(32)),
        sa.Column("system_user_name", sa.String(500)),
        sa.Column("system_user_role", sa.String(64)),
        sa.Column("scopes", _JSON),
        sa.Column("granular_scopes", _JSON),
        sa.Column("missing_scopes", _JSON),
        sa.Column("excess_scopes", _JSON),
        sa.Column("expires_at", _INSTANT),
        sa.Column("data_access_expires_at", _INSTANT),
        sa.Column("health", sa.String(16), nullable=False),
        sa.Column("last_checked_at", _INSTANT),
        sa.Column("activated_at", _INSTANT),
        sa.Column("retired_at", _INSTANT),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("health_reasons", _JSON, nullable=False),
        sa.Column("next_check_at", _INSTANT),
        sa.Column("access_at_activation", _JSON),
        _partial_index("ix_tokens_active_next_check_at", "next_check_at", where=_ACTIVE),
        sa.Index("ix_tokens_owner", "integration_id", "partner_id", "version"),
        _partial_index(
            "uq_tokens_active_fingerprint",
            "workspace_id",
            "fingerprint",
            where=_ACTIVE,
            unique=True,
        ),
        _partial_index(
            "uq_tokens_active_integration",
            "integration_id",
            where=f"{_ACTIVE} AND partner_id IS NULL",
            unique=True,
        ),
        _partial_index(
            "uq_tokens_active_partner",
            "partner_id",
            where=f"{_ACTIVE} AND partner_id IS NOT NULL",
            unique=True,
        ),
    )
    op.create_table(
        "capabilities",
        _reference("partner_id", "partners", primary_key=True),
        _reference("workspace_id", "workspaces", nullable=False),
        sa.Column("confirmed", _JSON),
        sa.Column("confirmed_at", _INSTANT),
        sa.Column("observed", _JSON),
        sa.Column("observed_at", _INSTANT),
        sa.Column("narrowed", _JSON, nullable=False),
    )
    op.create_table(
        "token_validations",
        sa.Column("id", sa.Uuid(), primary_key=True),
        _reference("workspace_id", "workspaces", nullable=False, index=True),
        _reference("integration_id", "integrations", nullable=False),
        _reference("partner_id", "partners"),
        _reference("token_id", "tokens", nullable=False),
        sa.Column("purpose", sa.String(16), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("verdict", sa.String(32)),
        sa.Column("checks", _JSON, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("crashes", sa.Integer(), nullable=False),
        sa.Column("resume_at", _INSTANT),
        sa.Column("started_at", _INSTANT),
        sa.Column("completed_at", _INSTANT),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Index("ix_token_validations_partner_id_id", "partner_id", "id"),
    )
    op.create_table(
        "token_requests",
        sa.Column("id", sa.Uuid(), primary_key=True),
        _reference("workspace_id", "workspaces", nullable=False, index=True),
        _reference("partner_id", "partners", nullable=False),
        sa.Column("api_key_id", sa.Uuid(), nullable=False),
        sa.Column("code_id", sa.String(16), nullable=False, unique=True),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("note", sa.String(500)),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("max_tries", sa.Integer(), nullable=False),
        _reference("validation_id", "token_validations", ondelete="SET NULL", unique=True),
        sa.Column("expires_at", _INSTANT, nullable=False),
        sa.Column("opened_at", _INSTANT),
        sa.Column("submitted_at", _INSTANT),
        sa.Column("ended_at", _INSTANT),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Index("ix_token_requests_partner_id_id", "partner_id", "id"),
    )


def _create_sync_jobs() -> None:
    """Create sync jobs, their events and the plans that wait for a decision."""
    op.create_table(
        "sync_jobs",
        sa.Column("id", sa.Uuid(), primary_key=True),
        _reference("workspace_id", "workspaces", nullable=False, index=True),
        _reference("integration_id", "integrations", nullable=False),
        _reference("partner_id", "partners"),
        _reference("parent_id", "sync_jobs", index=True),
        sa.Column("task", sa.String(32), nullable=False),
        sa.Column("trigger", sa.String(16), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("waiting_reason", sa.String(32)),
        sa.Column("resume_at", _INSTANT),
        sa.Column("own_work_done", sa.Boolean(), nullable=False),
        sa.Column("phase", sa.String(32), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer()),
        sa.Column("seen", sa.Integer(), nullable=False),
        sa.Column("added", sa.Integer(), nullable=False),
        sa.Column("changed", sa.Integer(), nullable=False),
        sa.Column("removed", sa.Integer(), nullable=False),
        sa.Column("unchanged", sa.Integer(), nullable=False),
        sa.Column("graph_calls", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("crashes", sa.Integer(), nullable=False),
        sa.Column("partial", sa.Boolean(), nullable=False),
        sa.Column("warnings", _JSON, nullable=False),
        sa.Column("error", _JSON),
        sa.Column("started_at", _INSTANT),
        sa.Column("finished_at", _INSTANT, index=True),
        sa.Column("updated_at", _INSTANT, nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("read_with", sa.Uuid()),
        sa.Column("plan", _JSON),
        sa.Column("plan_expires_at", _INSTANT),
        sa.Column("approved_plan", sa.String(64)),
        sa.Column("last_event", sa.Integer(), server_default="1", nullable=False),
        sa.Index("ix_sync_jobs_integration_id_id", "integration_id", "id"),
        sa.Index("ix_sync_jobs_partner_id_id", "partner_id", "id"),
        sa.Index("ix_sync_jobs_workspace_id_id", "workspace_id", "id"),
        _partial_index(
            "uq_sync_jobs_unfinished_integration",
            "integration_id",
            where=f"{_UNFINISHED} AND finished_at IS NULL AND partner_id IS NULL",
            unique=True,
        ),
        _partial_index(
            "uq_sync_jobs_unfinished_partner",
            "partner_id",
            where=f"{_UNFINISHED} AND partner_id IS NOT NULL",
            unique=True,
        ),
    )
    op.create_table(
        "sync_job_events",
        _reference("job_id", "sync_jobs", primary_key=True),
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("occurred_at", _INSTANT, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("waiting_reason", sa.String(32)),
        sa.Column("resume_at", _INSTANT),
        sa.Column("phase", sa.String(32), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer()),
        sa.Column("seen", sa.Integer(), nullable=False),
        sa.Column("added", sa.Integer(), nullable=False),
        sa.Column("changed", sa.Integer(), nullable=False),
        sa.Column("removed", sa.Integer(), nullable=False),
        sa.Column("unchanged", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("partial", sa.Boolean(), nullable=False),
        sa.Column("error_code", sa.String(64)),
        sa.Column("final", sa.Boolean(), nullable=False),
    )
    op.create_table(
        "planned_changes",
        sa.Column("id", _GENERATED_ID, primary_key=True, autoincrement=True),
        _reference("job_id", "sync_jobs", nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("partner_id", sa.Uuid(), nullable=False),
        sa.Column("partner_user_id", sa.Uuid()),
        sa.Column("asset_id", sa.Uuid()),
        sa.Column("before", _JSON),
        sa.Column("after", _JSON),
        sa.Index("ix_planned_changes_job_id_id", "job_id", "id"),
    )


def _create_staging() -> None:
    """Create the rows that a sync job reads before it applies them."""
    op.create_table(
        "staged_assets",
        _reference("job_id", "sync_jobs", primary_key=True),
        sa.Column("type", sa.String(32), primary_key=True),
        sa.Column("meta_id", sa.String(32), primary_key=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(500), nullable=False),
        sa.Column("direction", sa.String(32), nullable=False),
        sa.Column("permitted_tasks", _JSON),
        sa.Column("listed_in", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("read_at", _INSTANT),
        sa.Column("access_digest", sa.String(64)),
        sa.Column("is_unchanged", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.create_table(
        "staged_grants",
        _reference("job_id", "sync_jobs", primary_key=True),
        sa.Column("asset_type", sa.String(32), primary_key=True),
        sa.Column("asset_meta_id", sa.String(32), primary_key=True),
        sa.Column("meta_user_id", sa.String(32), primary_key=True),
        sa.Column("via", sa.String(16), primary_key=True),
        sa.Column("tasks", _JSON, nullable=False),
        sa.Column("full_control", sa.Boolean(), nullable=False),
    )
    op.create_table(
        "staged_partners",
        _reference("job_id", "sync_jobs", primary_key=True),
        sa.Column("meta_business_id", sa.String(32), primary_key=True),
        sa.Column("side", sa.String(16), primary_key=True),
        sa.Column("name", sa.String(500), nullable=False),
        sa.Column("shared_asset_counts", _JSON),
    )
    op.create_table(
        "staged_users",
        _reference("job_id", "sync_jobs", primary_key=True),
        sa.Column("meta_user_id", sa.String(32), primary_key=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("name", sa.String(500), nullable=False),
        sa.Column("email", sa.String(320)),
        sa.Column("title", sa.String(500)),
        sa.Column("role", sa.String(64)),
        sa.Column("role_class", sa.String(16), nullable=False),
        sa.Column("two_factor", sa.String(16), nullable=False),
        sa.Column("finance_permission", sa.String(64)),
        sa.Column("enriched", sa.Boolean(), nullable=False),
        sa.Column("has_grants", sa.Boolean(), nullable=False),
    )


def _create_changes() -> None:
    """Create the change feed."""
    op.create_table(
        "changes",
        sa.Column("workspace_id", sa.Uuid(), primary_key=True),
        sa.Column("sequence", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("occurred_at", _INSTANT, nullable=False),
        _reference("partner_id", "partners", nullable=False),
        sa.Column("partner_user_id", sa.Uuid()),
        sa.Column("asset_id", sa.Uuid()),
        sa.Column("before", _JSON),
        sa.Column("after", _JSON),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Index("ix_changes_partner_id_sequence", "partner_id", "sequence"),
        sa.Index("ix_changes_partner_user_id_sequence", "partner_user_id", "sequence"),
        sa.Index("ix_changes_workspace_id_kind_sequence", "workspace_id", "kind", "sequence"),
    )
    op.create_table(
        "change_feeds",
        _reference("workspace_id", "workspaces", primary_key=True),
        sa.Column("last_sequence", sa.BigInteger(), nullable=False),
    )


def _create_webhooks() -> None:
    """Create webhook endpoints, the outbox of events and the deliveries."""
    op.create_table(
        "webhook_endpoints",
        sa.Column("id", sa.Uuid(), primary_key=True),
        _reference("workspace_id", "workspaces", nullable=False, index=True),
        sa.Column("url", sa.String(2000), nullable=False),
        sa.Column("description", sa.String(500)),
        sa.Column("event_types", _JSON, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("disabled_reason", sa.String(32)),
        sa.Column("resume_at", _INSTANT),
        sa.Column("updated_at", _INSTANT, nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
    )
    op.create_table(
        "webhook_secrets",
        sa.Column("id", sa.Uuid(), primary_key=True),
        _reference("workspace_id", "workspaces", nullable=False, index=True),
        _reference("endpoint_id", "webhook_endpoints", nullable=False, index=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("key_id", sa.String(32), nullable=False),
        sa.Column("expires_at", _INSTANT),
        sa.Column("created_at", _INSTANT, nullable=False),
    )
    op.create_table(
        "webhook_feeds",
        _reference("workspace_id", "workspaces", primary_key=True),
        sa.Column("last_sequence", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "webhook_events",
        sa.Column("id", _GENERATED_ID, primary_key=True, autoincrement=True),
        _reference("workspace_id", "workspaces", nullable=False, index=True),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("occurred_at", _INSTANT, nullable=False, index=True),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("integration_id", sa.Uuid()),
        sa.Column("partner_id", sa.Uuid()),
        sa.Column("partner_user_id", sa.Uuid()),
        sa.Column("token_id", sa.Uuid()),
        sa.Column("job_id", sa.Uuid()),
        sa.Column("change_sequence", sa.BigInteger()),
        sa.Column("states", _JSON),
        sa.Column("sequence", sa.BigInteger()),
        sa.Column("message_id", sa.Uuid()),
        _partial_index(
            "ix_webhook_events_without_sequence", "workspace_id", "id", where="sequence IS NULL"
        ),
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.Uuid(), primary_key=True),
        _reference("workspace_id", "workspaces", nullable=False, index=True),
        _reference("endpoint_id", "webhook_endpoints", nullable=False),
        sa.Column(
            "event_id",
            _GENERATED_ID,
            sa.ForeignKey("webhook_events.id", ondelete="CASCADE"),
            nullable=False,
            index=True,
        ),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("queued_at", _INSTANT, nullable=False),
        sa.Column("next_attempt_at", _INSTANT, nullable=False),
        sa.Column("leased_until", _INSTANT),
        sa.Column("last_attempt_at", _INSTANT),
        sa.Column("last_status_code", sa.Integer()),
        sa.Column("last_error", sa.String(32)),
        sa.Column("delivered_at", _INSTANT),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Index("ix_webhook_deliveries_endpoint_id_id", "endpoint_id", "id"),
        _partial_index(
            "ix_webhook_deliveries_lane",
            "endpoint_id",
            "subject_id",
            "sequence",
            where="status = 'pending'",
        ),
    )


def _reference(
    name: str, table: str, *, ondelete: str = "CASCADE", **options: Any
) -> sa.Column[Any]:
    """Return a column that holds the id of a row of another table."""
    key = sa.ForeignKey(f"{table}.id", ondelete=ondelete)
    return sa.Column(name, sa.Uuid(), key, **options)


def _partial_index(name: str, *columns: str, where: str, unique: bool = False) -> sa.Index:
    """Return an index of the rows that meet a condition."""
    condition = sa.text(where)
    return sa.Index(
        name, *columns, unique=unique, sqlite_where=condition, postgresql_where=condition
    )
