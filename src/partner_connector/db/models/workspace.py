"""Workspaces: each is one company that uses the product, and owns all its rows."""

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from partner_connector.db.models.base import Base, Identified


class Workspace(Identified, Base):
    """A workspace."""

    __tablename__ = "workspaces"

    name: Mapped[str] = mapped_column(String(200))
