"""System-user tokens, sealed. Our own business's (`partner_id` is null) and the partners'."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from partner_connector.db.models.base import Base, WorkspaceOwned, partial_index

_ACTIVE = "state = 'active'"

# Health of a token under which the partner's data can still be read.
WORKING = ("healthy", "expiring", "unknown")
HEALTHS = ("healthy", "expiring", "expired", "invalid", "insufficient", "unreadable", "unknown")


class Token(WorkspaceOwned, Base):
    """One version of one owner's token: `candidate → active → superseded | revoked → wiped`.

    `sealed` holds ciphertext only: a libsodium sealed box as the token comes in
    (`sealed_as = 'sealed_box'`), authenticated encryption bound to this row once it is active or
    the key was rotated (`sealed_as = 'at_rest'`), null once wiped. `key_id` names the key that
    opens it.
    """

    __tablename__ = "tokens"
    __table_args__ = (
        partial_index(
            "uq_tokens_active_partner",
            "partner_id",
            unique=True,
            where="state = 'active' AND partner_id IS NOT NULL",
        ),
        partial_index(
            "uq_tokens_active_integration",
            "integration_id",
            unique=True,
            where="state = 'active' AND partner_id IS NULL",
        ),
        # By its keyed hash. Of two proofs of one token that end at the same instant, the second one
        # is made anew, and then finds the first (`validation.checks`, not_reused).
        partial_index(
            "uq_tokens_active_fingerprint",
            "workspace_id",
            "fingerprint",
            unique=True,
            where=_ACTIVE,
        ),
        partial_index("ix_tokens_active_next_check_at", "next_check_at", where=_ACTIVE),
        Index("ix_tokens_owner", "integration_id", "partner_id", "version"),
    )

    integration_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("integrations.id", ondelete="CASCADE")
    )
    partner_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("partners.id", ondelete="CASCADE")
    )
    version: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(String(16), default="candidate")
    sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    sealed_as: Mapped[str] = mapped_column(String(16), default="sealed_box")
    key_id: Mapped[str] = mapped_column(String(32))
    fingerprint: Mapped[str | None] = mapped_column(String(64))
    app_id: Mapped[str | None] = mapped_column(String(32))
    type: Mapped[str | None] = mapped_column(String(32))
    system_user_id: Mapped[str | None] = mapped_column(String(32))
    system_user_name: Mapped[str | None] = mapped_column(String(500))
    system_user_role: Mapped[str | None] = mapped_column(String(64))
    scopes: Mapped[list[str] | None]
    # Scope -> the objects it is narrowed to, null where it covers all of them.
    granular_scopes: Mapped[dict[str, Any] | None]
    missing_scopes: Mapped[list[str] | None]
    excess_scopes: Mapped[list[str] | None]
    expires_at: Mapped[datetime | None]
    data_access_expires_at: Mapped[datetime | None]
    health: Mapped[str] = mapped_column(String(16), default="unknown")
    # `{scopes, granular, role}` as they were when it was activated; null for what came before.
    proof: Mapped[dict[str, Any] | None]
    # `{code, detail, remedy}` each; empty while nothing needs attention.
    health_reasons: Mapped[list[Any]] = mapped_column(default=list)
    last_checked_at: Mapped[datetime | None]
    # When an active token is next proven anew; null while that was never planned.
    next_check_at: Mapped[datetime | None]
    activated_at: Mapped[datetime | None]
    retired_at: Mapped[datetime | None]
