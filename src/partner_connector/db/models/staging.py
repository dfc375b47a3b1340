"""Staging tables: what a sync job has read, before it is applied in one transaction.

Each row has the id that a new real row will get, so that the diff needs only a few SQL statements.
All writes are idempotent: a batch that is read again after a crash leaves the same rows.
"""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from partner_connector.db.facts import AssetFacts, PersonFacts, ShareFacts
from partner_connector.db.models.base import Base
from partner_connector.ids import new_id


class JobOwned:
    """Mixin of staged rows, which are deleted with their job."""

    job_id: Mapped[uuid.UUID] = mapped_column(
        # First in every primary key: all queries select one job.
        ForeignKey("sync_jobs.id", ondelete="CASCADE"),
        primary_key=True,
        sort_order=-1,
    )


class StagedPartner(JobOwned, Base):
    """A business that is an agency or a client; one that is both has two rows."""

    __tablename__ = "staged_partners"

    meta_business_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    side: Mapped[str] = mapped_column(String(16), primary_key=True)
    name: Mapped[str] = mapped_column(String(500))
    shared_asset_counts: Mapped[dict[str, Any] | None]


class StagedAsset(JobOwned, AssetFacts, ShareFacts, Base):
    """An asset that is shared with the partner.

    `state` is `unread`; `read` when all its users are read; `short` if Meta listed fewer users than
    its total count; `refused` if Meta does not show them; or `out_of_sight` if a caller accepted
    that: then the asset counts as unchanged. Only assets that the current attempt listed
    (`listed_in`) are used, because a share may have ended since an earlier attempt.
    """

    __tablename__ = "staged_assets"

    type: Mapped[str] = mapped_column(String(32), primary_key=True)
    meta_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    id: Mapped[uuid.UUID] = mapped_column(default=new_id)
    listed_in: Mapped[int]
    state: Mapped[str] = mapped_column(String(16), default="unread")
    # Digest of the assigned users. If it is the stored one, no grants are staged.
    access_digest: Mapped[str | None] = mapped_column(String(64))
    is_unchanged: Mapped[bool] = mapped_column(default=False)
    read_at: Mapped[datetime | None]


class StagedUser(JobOwned, PersonFacts, Base):
    """A user of the partner, with or without grants.

    `enriched` is false for a user that only lists of assets contain: then the e-mail address, the
    role and other facts are unknown, not absent.
    """

    __tablename__ = "staged_users"

    meta_user_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    id: Mapped[uuid.UUID] = mapped_column(default=new_id)
    enriched: Mapped[bool]
    # Whether the user has a staged grant; set once, when all grants are staged.
    has_grants: Mapped[bool] = mapped_column(default=False)


class StagedGrant(JobOwned, Base):
    """Access of a user to an asset, with its tasks."""

    # No index by user: every batch would update it, and no query selects single users.
    __tablename__ = "staged_grants"

    asset_type: Mapped[str] = mapped_column(String(32), primary_key=True)
    asset_meta_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    meta_user_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    via: Mapped[str] = mapped_column(String(16), primary_key=True, default="direct")
    tasks: Mapped[list[str]]
    full_control: Mapped[bool]
