"""Heartbeats of worker processes, so that other workers take over the work of a dead one."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from partner_connector.db.models.base import Base


class Executor(Base):
    """Heartbeat of a worker process. `beat_at` is the database's time, not the host's."""

    __tablename__ = "executors"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    beat_at: Mapped[datetime]
