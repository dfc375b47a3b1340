"""Ad accounts, pages, catalogs and pixels that are shared between us and a partner."""

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from partner_connector.db.facts import AssetFacts, ShareFacts
from partner_connector.db.models.base import Base, WorkspaceOwned


class Asset(WorkspaceOwned, AssetFacts, Base):
    """A Meta asset. An ad account's `meta_id` is its number without `act_`."""

    __tablename__ = "assets"
    __table_args__ = (UniqueConstraint("integration_id", "type", "meta_id"),)

    integration_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("integrations.id", ondelete="CASCADE")
    )
    type: Mapped[str] = mapped_column(String(32))
    meta_id: Mapped[str] = mapped_column(String(32))


class AssetShare(ShareFacts, Base):
    """Share of an asset between us and one partner: its direction and its permitted tasks.

    `access_digest` is a digest of the users that were assigned to the asset when a complete read
    was last applied; null after a partial read. If the next read has the same digest, its grants
    need no comparison.
    """

    __tablename__ = "asset_shares"

    partner_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("partners.id", ondelete="CASCADE"), primary_key=True
    )
    asset_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("assets.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    workspace_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("workspaces.id", ondelete="CASCADE"))
    first_seen_at: Mapped[datetime]
    access_digest: Mapped[str | None] = mapped_column(String(64))
