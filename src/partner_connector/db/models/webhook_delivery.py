"""Deliveries of events to webhook endpoints."""

import uuid
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    ForeignKey,
    Index,
    Integer,
    String,
    Subquery,
    func,
    literal_column,
    select,
)
from sqlalchemy.orm import Mapped, mapped_column

from partner_connector.clock import now
from partner_connector.db.models.base import Base, WorkspaceOwned, partial_index

_PENDING = "status = 'pending'"


class WebhookDelivery(WorkspaceOwned, Base):
    """Delivery of one event to one endpoint: `pending → delivered | dead_lettered`.

    Redelivery sets it back to `pending`. The deliveries of one endpoint and subject form a queue:
    the first pending one is sent, the others wait.
    """

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        partial_index(
            "ix_webhook_deliveries_lane", "endpoint_id", "subject_id", "sequence", where=_PENDING
        ),
        Index("ix_webhook_deliveries_endpoint_id_id", "endpoint_id", "id"),
        Index("ix_webhook_deliveries_event_id", "event_id"),
    )

    endpoint_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("webhook_endpoints.id", ondelete="CASCADE")
    )
    event_id: Mapped[int] = mapped_column(ForeignKey("webhook_events.id", ondelete="CASCADE"))
    subject_id: Mapped[uuid.UUID]
    sequence: Mapped[int] = mapped_column(BigInteger)
    status: Mapped[str] = mapped_column(String(16), default="pending")
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    # When the delivery was last set to `pending`.
    queued_at: Mapped[datetime] = mapped_column(default=now)
    next_attempt_at: Mapped[datetime] = mapped_column(default=now)
    # Until then one worker holds the delivery.
    leased_until: Mapped[datetime | None]
    last_attempt_at: Mapped[datetime | None]
    last_status_code: Mapped[int | None] = mapped_column(Integer)
    last_error: Mapped[str | None] = mapped_column(String(32))
    delivered_at: Mapped[datetime | None]


# Literal, as in the partial index: the database then reads the index only.
IS_PENDING: ColumnElement[bool] = literal_column("webhook_deliveries.status = 'pending'")


def queues_with_pending() -> Subquery:
    """Return each queue with pending deliveries: their number and the first one's sequence."""
    return (
        select(
            WebhookDelivery.endpoint_id,
            WebhookDelivery.subject_id,
            func.min(WebhookDelivery.sequence).label("sequence"),
            func.count().label("pending"),
        )
        .where(IS_PENDING)
        .group_by(WebhookDelivery.endpoint_id, WebhookDelivery.subject_id)
        .subquery("lanes")
    )


def is_first_in(queue: Subquery) -> ColumnElement[bool]:
    """Return the condition that a delivery is the first pending one of its queue."""
    return (
        IS_PENDING
        & (WebhookDelivery.endpoint_id == queue.c.endpoint_id)
        & (WebhookDelivery.subject_id == queue.c.subject_id)
        & (WebhookDelivery.sequence == queue.c.sequence)
    )
