"""A token is active once in a workspace, also where two hand-overs end at the same instant."""

import sqlalchemy as sa
from alembic import op

revision = "20261127_one_token_once"
down_revision = "20261127_key_usage"
branch_labels = None
depends_on = None

_ACTIVE = sa.text("state = 'active'")
_COLUMNS = ["workspace_id", "fingerprint"]
_FINDS, _ALLOWS_ONE = "ix_tokens_active_fingerprint", "uq_tokens_active_fingerprint"


def upgrade() -> None:
    """Where one token is active twice already, only the first keeps what it is found by."""
    op.execute(
        "UPDATE tokens SET fingerprint = NULL WHERE state = 'active' AND EXISTS ("
        "SELECT 1 FROM tokens AS other WHERE other.state = 'active' AND other.id < tokens.id "
        "AND other.workspace_id = tokens.workspace_id "
        "AND other.fingerprint = tokens.fingerprint)"
    )
    op.drop_index(_FINDS, table_name="tokens")
    op.create_index(
        _ALLOWS_ONE,
        "tokens",
        _COLUMNS,
        unique=True,
        sqlite_where=_ACTIVE,
        postgresql_where=_ACTIVE,
    )


def downgrade() -> None:
    """The index only finds them again."""
    op.drop_index(_ALLOWS_ONE, table_name="tokens")
    op.create_index(_FINDS, "tokens", _COLUMNS, sqlite_where=_ACTIVE, postgresql_where=_ACTIVE)
