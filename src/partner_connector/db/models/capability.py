"""How much of a partner its token can see: proven at the last complete check, and seen now."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from partner_connector.db.models.base import Base


class Capability(Base):
    """`{scopes, granular, role, assets, hidden}`; see `sync.capability` for each part.

    `proven` is null before the first complete check: then the token's own proof counts. `narrowed`
    says in words what `observed` lacks of it; while there is anything, nobody is removed.
    """

    __tablename__ = "capabilities"

    partner_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("partners.id", ondelete="CASCADE"), primary_key=True
    )
    workspace_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("workspaces.id", ondelete="CASCADE"))
    proven: Mapped[dict[str, Any] | None]
    proven_at: Mapped[datetime | None]
    observed: Mapped[dict[str, Any] | None]
    observed_at: Mapped[datetime | None]
    narrowed: Mapped[list[str]] = mapped_column(default=list)
