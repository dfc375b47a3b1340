"""Rate-limit budgets, shared by all workers."""

from datetime import datetime

from sqlalchemy import Float, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from partner_connector.db.models.base import Base


class GraphBudget(Base):
    """A budget under its key from `graph.budgets`.

    It has no workspace, because Meta limits an app for the whole deployment. Deleting a row lifts
    its block. `seen_at` is the time of the worker that received the report.
    """

    __tablename__ = "graph_budgets"

    key: Mapped[str] = mapped_column(String(200), primary_key=True)
    percent: Mapped[float] = mapped_column(Float)
    seen_at: Mapped[datetime] = mapped_column(index=True)
    blocked_until: Mapped[datetime | None] = mapped_column(index=True)
    blocks: Mapped[int] = mapped_column(Integer)
