"""Sealed system-user tokens: the partners', and our own business's (`partner_id` is null)."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from partner_connector.db.models.base import Base, WorkspaceOwned, partial_index

_ACTIVE = "state = 'active'"

# Values of `health` with which a token can still read data.
WORKING = ("healthy", "expiring", "unknown")
HEALTHS = ("healthy", "expiring", "expired", "invalid", "insufficient", "unreadable", "unknown")


class Token(WorkspaceOwned, Base):
    """A version of a token of one owner: `candidate → active → superseded | revoked → wiped`.

    `sealed` holds ciphertext only. At first it is a libsodium sealed box
    (`sealed_as = 'sealed_box'`). When the token becomes active or the key is rotated, it is
    encrypted at rest, bound to this row (`sealed_as = 'at_rest'`). It is null when wiped. `key_id`
    is the key that opens it.
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
        # A token is active at most once in a workspace. If two validations of one token end at the
        # same time, the second one runs again and fails its check `not_reused`.
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
    # Scope → ids of the objects it is limited to; null where it covers all objects.
    granular_scopes: Mapped[dict[str, Any] | None]
    missing_scopes: Mapped[list[str] | None]
    excess_scopes: Mapped[list[str] | None]
    expires_at: Mapped[datetime | None]
    data_access_expires_at: Mapped[datetime | None]
    health: Mapped[str] = mapped_column(String(16), default="unknown")
    # `{scopes, granular, role}` at the activation; null where they were not recorded.
    access_at_activation: Mapped[dict[str, Any] | None]
    # Items `{code, detail, remedy}`; empty while nothing needs attention.
    health_reasons: Mapped[list[Any]] = mapped_column(default=list)
    last_checked_at: Mapped[datetime | None]
    # Time of the next daily re-validation of an active token; null until it is planned.
    next_check_at: Mapped[datetime | None]
    activated_at: Mapped[datetime | None]
    retired_at: Mapped[datetime | None]
