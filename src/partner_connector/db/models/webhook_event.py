"""The outbox of webhook events, written in the transaction that causes them.

A row holds ids and states, never a name or an e-mail address; the body of the webhook is built from
the row alone. Only events that an enabled endpoint of the workspace subscribes to are written.
"""

import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Connection, ForeignKey, Index, Integer, String, insert, select
from sqlalchemy.orm import Mapped, mapped_column

from partner_connector.db.models.base import Base, partial_index
from partner_connector.db.models.webhook_endpoint import WebhookEndpoint


class WebhookEvent(Base):
    """A webhook event. `sequence` and `message_id` are null until a worker assigns them.

    `id` gives the order of events within one transaction, and of transactions that do not overlap.
    """

    __tablename__ = "webhook_events"
    __table_args__ = (
        partial_index(
            "ix_webhook_events_without_sequence", "workspace_id", "id", where="sequence IS NULL"
        ),
        Index("ix_webhook_events_occurred_at", "occurred_at"),
        Index("ix_webhook_events_workspace_id", "workspace_id"),
    )

    # SQLite generates ids only for the type INTEGER.
    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    )
    workspace_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("workspaces.id", ondelete="CASCADE"))
    type: Mapped[str] = mapped_column(String(32))
    occurred_at: Mapped[datetime]
    # The partner or integration whose events are delivered in order. No foreign keys here and
    # below: events of deleted rows are still delivered.
    subject_id: Mapped[uuid.UUID]
    integration_id: Mapped[uuid.UUID | None]
    partner_id: Mapped[uuid.UUID | None]
    partner_user_id: Mapped[uuid.UUID | None]
    token_id: Mapped[uuid.UUID | None]
    job_id: Mapped[uuid.UUID | None]
    change_sequence: Mapped[int | None] = mapped_column(BigInteger)
    states: Mapped[dict[str, Any] | None]
    sequence: Mapped[int | None] = mapped_column(BigInteger)
    message_id: Mapped[uuid.UUID | None]


class WebhookFeed(Base):
    """Last sequence of a workspace. A worker locks this row while it assigns sequences."""

    __tablename__ = "webhook_feeds"

    workspace_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("workspaces.id", ondelete="CASCADE"), primary_key=True
    )
    last_sequence: Mapped[int] = mapped_column(BigInteger, default=0)


def subscribed_types(connection: Connection, workspace_id: uuid.UUID) -> frozenset[str]:
    """Return the event types to which enabled endpoints of the workspace subscribe."""
    wanted = select(WebhookEndpoint.event_types).where(
        WebhookEndpoint.workspace_id == workspace_id, WebhookEndpoint.status == "enabled"
    )
    return frozenset(each for types in connection.scalars(wanted) for each in types)


def write_to_outbox(connection: Connection, events: Iterable[dict[str, Any]]) -> None:
    """Write the events with a subscribed type to the outbox. All are of one workspace."""
    candidates = list(events)
    subscribed = (
        subscribed_types(connection, candidates[0]["workspace_id"]) if candidates else frozenset()
    )
    for each in candidates:
        if each["type"] in subscribed:
            subject = each.get("partner_id") or each["integration_id"]
            connection.execute(insert(WebhookEvent), {**each, "subject_id": subject})
