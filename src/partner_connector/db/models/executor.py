"""Heartbeats of worker processes, so that a dead one's work is taken over."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from partner_connector.db.models.base import Base


class Executor(Base):
    """`beat_at` is the database's clock, never the host's."""

    __tablename__ = "executors"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    beat_at: Mapped[datetime]
