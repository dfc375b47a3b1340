"""The outbox: one row per event, written in the transaction of what it tells.

A row holds ids and states, never a name or an address: the body that is sent is made of nothing
else. Only what an enabled endpoint of the workspace wants is written at all.
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
    """What happened. Until a worker has given it its place, `sequence` and `message_id` are null.

    `id` only keeps the order of what is written in one transaction, or in one after the other.
    """

    __tablename__ = "webhook_events"
    __table_args__ = (
        partial_index(
            "ix_webhook_events_without_sequence", "workspace_id", "id", where="sequence IS NULL"
        ),
        Index("ix_webhook_events_occurred_at", "occurred_at"),
        Index("ix_webhook_events_workspace_id", "workspace_id"),
    )

    # On SQLite only an INTEGER counts by itself.
    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    )
    workspace_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("workspaces.id", ondelete="CASCADE"))
    type: Mapped[str] = mapped_column(String(32))
    occurred_at: Mapped[datetime]
    # Whose events come in order: the partner's, or those of our own integration. No foreign keys:
    # that something is gone is still told.
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
    """The last sequence of a workspace. Whoever gives events their place holds this row."""

    __tablename__ = "webhook_feeds"

    workspace_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("workspaces.id", ondelete="CASCADE"), primary_key=True
    )
    last_sequence: Mapped[int] = mapped_column(BigInteger, default=0)


def wanted_types(connection: Connection, workspace_id: uuid.UUID) -> frozenset[str]:
    """The types of events that somebody wants to be told of now."""
    wanted = select(WebhookEndpoint.event_types).where(
        WebhookEndpoint.workspace_id == workspace_id, WebhookEndpoint.status == "enabled"
    )
    return frozenset(each for types in connection.scalars(wanted) for each in types)


def put_out(connection: Connection, events: Iterable[dict[str, Any]]) -> None:
    """Write these events of one workspace, those of them that somebody wants."""
    told = list(events)
    wanted = wanted_types(connection, told[0]["workspace_id"]) if told else frozenset()
    for each in told:
        if each["type"] in wanted:
            subject = each.get("partner_id") or each["integration_id"]
            connection.execute(insert(WebhookEvent), {**each, "subject_id": subject})
