"""What is known of Meta's limits, shared by all workers."""

from datetime import datetime

from sqlalchemy import Float, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from partner_connector.db.models.base import Base


class GraphBudget(Base):
    """One allowance, by the key that `graph.budgets` gives it.

    No workspace: what an app may ask of Meta is one allowance for the whole deployment. A row that
    is deleted is a limit that is lifted. `seen_at` is the clock of the worker that heard it.
    """

    __tablename__ = "graph_budgets"

    key: Mapped[str] = mapped_column(String(200), primary_key=True)
    percent: Mapped[float] = mapped_column(Float)
    seen_at: Mapped[datetime] = mapped_column(index=True)
    blocked_until: Mapped[datetime | None] = mapped_column(index=True)
    blocks: Mapped[int] = mapped_column(Integer)
