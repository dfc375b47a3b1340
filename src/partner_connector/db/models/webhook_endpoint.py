"""Webhook endpoints and their signing secrets."""

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from partner_connector.clock import now
from partner_connector.db.models.base import Base, WorkspaceOwned


class WebhookEndpoint(WorkspaceOwned, Base):
    """A webhook endpoint. `status` is `enabled` or `disabled`.

    A disabled endpoint receives nothing, and no events are kept for it.
    """

    __tablename__ = "webhook_endpoints"

    url: Mapped[str] = mapped_column(String(2000))
    description: Mapped[str | None] = mapped_column(String(500))
    event_types: Mapped[list[str]]
    status: Mapped[str] = mapped_column(String(16), default="enabled")
    disabled_reason: Mapped[str | None] = mapped_column(String(32))
    # End of the pause that the receiver asked for (`Retry-After`).
    resume_at: Mapped[datetime | None]
    updated_at: Mapped[datetime] = mapped_column(default=now)


class WebhookSecret(WorkspaceOwned, Base):
    """A signing secret in a sealed box: the API makes it, and only a worker can open it.

    The current secret has no `expires_at`. Until its `expires_at` the previous secret signs too.
    """

    __tablename__ = "webhook_secrets"

    endpoint_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("webhook_endpoints.id", ondelete="CASCADE"), index=True
    )
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    key_id: Mapped[str] = mapped_column(String(32))
    expires_at: Mapped[datetime | None]
