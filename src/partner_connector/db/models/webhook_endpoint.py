"""Where a customer wants to be told of events, and what such messages are signed with."""

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from partner_connector.clock import now
from partner_connector.db.models.base import Base, WorkspaceOwned


class WebhookEndpoint(WorkspaceOwned, Base):
    """`status` is `enabled` or `disabled`; a disabled one is told nothing, and no event is kept for
    it.
    """

    __tablename__ = "webhook_endpoints"

    url: Mapped[str] = mapped_column(String(2000))
    description: Mapped[str | None] = mapped_column(String(500))
    event_types: Mapped[list[str]]
    status: Mapped[str] = mapped_column(String(16), default="enabled")
    disabled_reason: Mapped[str | None] = mapped_column(String(32))
    # Until when the receiver asked to be left alone (`Retry-After`).
    resume_at: Mapped[datetime | None]
    updated_at: Mapped[datetime] = mapped_column(default=now)


class WebhookSecret(WorkspaceOwned, Base):
    """A sealed box: the API makes it, and only a worker can open it.

    The one without an end is the present one; the one before it signs beside it until its end.
    """

    __tablename__ = "webhook_secrets"

    endpoint_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("webhook_endpoints.id", ondelete="CASCADE"), index=True
    )
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    key_id: Mapped[str] = mapped_column(String(32))
    expires_at: Mapped[datetime | None]
