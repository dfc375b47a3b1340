"""Capabilities: what a partner's token could see at the last complete read and at the last one."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from partner_connector.db.models.base import Base


class Capability(Base):
    """Snapshots `{scopes, granular, role, assets, hidden}` (`worker.sync.apply.capability`).

    `observed` is the snapshot of the latest read. `confirmed`, which it is compared with, is that
    of the last complete read, or the one that a caller accepted as reduced on purpose. It is null
    before the first complete read; then the snapshot of the token's validation is used. `narrowed`
    describes what `observed` lacks; while it is not empty, no users are removed.
    """

    __tablename__ = "capabilities"

    partner_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("partners.id", ondelete="CASCADE"), primary_key=True
    )
    workspace_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("workspaces.id", ondelete="CASCADE"))
    confirmed: Mapped[dict[str, Any] | None]
    confirmed_at: Mapped[datetime | None]
    observed: Mapped[dict[str, Any] | None]
    observed_at: Mapped[datetime | None]
    narrowed: Mapped[list[str]] = mapped_column(default=list)
