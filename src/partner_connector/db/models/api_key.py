"""API keys. The key itself is shown once and never stored."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from partner_connector.db.models.base import Base, WorkspaceOwned


class ApiKey(WorkspaceOwned, Base):
    """An API key. `key_id` is its public half; `digest` is a keyed hash of the whole key."""

    __tablename__ = "api_keys"

    name: Mapped[str] = mapped_column(String(200))
    key_id: Mapped[str] = mapped_column(String(16), unique=True)
    digest: Mapped[str] = mapped_column(String(64))
    scopes: Mapped[list[str]]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
