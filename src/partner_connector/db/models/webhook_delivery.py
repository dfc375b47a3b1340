"""One event on its way to one endpoint."""

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
    """`pending → delivered | dead_lettered`, and back to `pending` when it is asked for again.

    Those of one endpoint and subject are a lane: its first pending one is tried, the others wait.
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
    # Since when it is to be delivered, the last time that this was asked for.
    queued_at: Mapped[datetime] = mapped_column(default=now)
    next_attempt_at: Mapped[datetime] = mapped_column(default=now)
    # Until when it is one worker's.
    leased_until: Mapped[datetime | None]
    last_attempt_at: Mapped[datetime | None]
    last_status_code: Mapped[int | None] = mapped_column(Integer)
    last_error: Mapped[str | None] = mapped_column(String(32))
    delivered_at: Mapped[datetime | None]


# In the words of the lanes' index, which is then all that has to be read.
IS_PENDING: ColumnElement[bool] = literal_column("webhook_deliveries.status = 'pending'")


def lanes_with_pending() -> Subquery:
    """Every lane in which something is pending: how much, and the sequence of the first of it."""
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


def is_first_of(lane: Subquery) -> ColumnElement[bool]:
    """That a delivery is the one which keeps the others of this lane waiting."""
    return (
        IS_PENDING
        & (WebhookDelivery.endpoint_id == lane.c.endpoint_id)
        & (WebhookDelivery.subject_id == lane.c.subject_id)
        & (WebhookDelivery.sequence == lane.c.sequence)
    )
