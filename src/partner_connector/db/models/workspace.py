"""A tenant: one company that wants to see who at its partners can touch its assets."""

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from partner_connector.db.models.base import Base, Identified


class Workspace(Identified, Base):
    """One tenant."""

    __tablename__ = "workspaces"

    name: Mapped[str] = mapped_column(String(200))
