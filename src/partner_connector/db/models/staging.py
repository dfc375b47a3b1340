"""What a check for updates has read so far, per job, before it is applied in one transaction.

Rows carry the id that the real row will get if it turns out to be new, so that the diff can be
one set of SQL statements. Every write to these tables is idempotent: a batch read twice after a
crash leaves the same rows.
"""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from partner_connector.db.facts import AssetFacts, PersonFacts, ShareFacts
from partner_connector.db.models.base import Base
from partner_connector.ids import new_id


class OfJob:
    """A staged row: it belongs to one job and dies with it."""

    job_id: Mapped[uuid.UUID] = mapped_column(
        # First in every primary key: all reads are of one job.
        ForeignKey("sync_jobs.id", ondelete="CASCADE"),
        primary_key=True,
        sort_order=-1,
    )


class StagedPartner(OfJob, Base):
    """One business on one side of the relation; a business on both sides is two rows."""

    __tablename__ = "staged_partners"

    meta_business_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    side: Mapped[str] = mapped_column(String(16), primary_key=True)
    name: Mapped[str] = mapped_column(String(500))
    shared_asset_counts: Mapped[dict[str, Any] | None]


class StagedAsset(OfJob, AssetFacts, ShareFacts, Base):
    """A shared asset of the partner.

    `state` is `unread`, `read` once its users were read to the end, `short` where Meta showed fewer
    than it counts, `refused` where it shows none, or `out_of_sight` where somebody accepted that:
    then it counts as unchanged. Only assets that the present attempt listed (`listed_in`) count: an
    earlier one may have seen a share that ended.
    """

    __tablename__ = "staged_assets"

    type: Mapped[str] = mapped_column(String(32), primary_key=True)
    meta_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    id: Mapped[uuid.UUID] = mapped_column(default=new_id)
    listed_in: Mapped[int]
    state: Mapped[str] = mapped_column(String(16), default="unread")
    # Who is assigned, in short; where that is as at the last check no grants are staged.
    access_digest: Mapped[str | None] = mapped_column(String(64))
    is_unchanged: Mapped[bool] = mapped_column(default=False)
    read_at: Mapped[datetime | None]


class StagedUser(OfJob, PersonFacts, Base):
    """What was said about someone who may or may not have access to anything.

    `enriched` is false for someone that only the assets named: then e-mail, role and the like are
    unknown, which is not the same as absent.
    """

    __tablename__ = "staged_users"

    meta_user_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    id: Mapped[uuid.UUID] = mapped_column(default=new_id)
    enriched: Mapped[bool]
    # Whether a staged grant names them: found out once, when all of those are there.
    has_grants: Mapped[bool] = mapped_column(default=False)


class StagedGrant(OfJob, Base):
    """That someone is assigned to an asset, with which tasks."""

    # No index by person: each batch would write all of it again, and all is asked for at once.
    __tablename__ = "staged_grants"

    asset_type: Mapped[str] = mapped_column(String(32), primary_key=True)
    asset_meta_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    meta_user_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    via: Mapped[str] = mapped_column(String(16), primary_key=True, default="direct")
    tasks: Mapped[list[str]]
    full_control: Mapped[bool]
