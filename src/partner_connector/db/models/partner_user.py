"""People and system users of a partner who have access to an asset shared with us."""

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from partner_connector.db.facts import PersonFacts
from partner_connector.db.models.base import Base, WorkspaceOwned, partial_index


class PartnerUser(WorkspaceOwned, PersonFacts, Base):
    """A user of one partner. A person who works for two partners is two partner users.

    `role` is Meta's value, `role_class` ours. Removed users keep their row and their id.
    """

    __tablename__ = "partner_users"
    __table_args__ = (
        UniqueConstraint("partner_id", "meta_user_id"),
        Index("ix_partner_users_workspace_id_name_id", "workspace_id", "name", "id"),
        Index("ix_partner_users_partner_id_name_id", "partner_id", "name", "id"),
        Index("ix_partner_users_workspace_id_email", "workspace_id", "email"),
        Index("ix_partner_users_workspace_id_id", "workspace_id", "id"),
    )

    integration_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("integrations.id", ondelete="CASCADE")
    )
    partner_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("partners.id", ondelete="CASCADE"))
    meta_user_id: Mapped[str] = mapped_column(String(32))
    state: Mapped[str] = mapped_column(String(16), default="active")
    asset_count: Mapped[int] = mapped_column(Integer, default=0)
    first_seen_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    removed_at: Mapped[datetime | None]


class Grant(Base):
    """Access of one partner user to one shared asset: its tasks, direct or through a group."""

    __tablename__ = "grants"
    __table_args__ = (
        # A sync job compares the grants of one partner on one asset.
        Index("ix_grants_partner_id_asset_id", "partner_id", "asset_id"),
        partial_index(
            "ix_grants_partner_id_through_group", "partner_id", where="via = 'asset_group'"
        ),
    )

    partner_user_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("partner_users.id", ondelete="CASCADE"), primary_key=True
    )
    asset_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("assets.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    via: Mapped[str] = mapped_column(String(16), primary_key=True, default="direct")
    # No foreign keys: the user's row has the same values. One check per row, the user's, is enough.
    workspace_id: Mapped[uuid.UUID]
    partner_id: Mapped[uuid.UUID]
    tasks: Mapped[list[str]]
    full_control: Mapped[bool]
    granted_at: Mapped[datetime]
