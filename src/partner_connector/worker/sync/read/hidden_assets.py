"""Shared assets and lists that Meta hides from a token, before and after an operator accepts it.

If the system user loses a permission or an asset, Meta hides assets that are still shared. Until an
operator accepts this, no user of the partner is removed. After that, a hidden asset keeps the users
of its last read, and the read of all other assets can be complete. An asset that is visible again
is read like any other asset.
"""

import uuid
from collections.abc import Collection, Sequence

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.clock import now
from partner_connector.db.models import Capability, StagedAsset, SyncJob
from partner_connector.graph import GraphError
from partner_connector.worker.meta.shared_assets import SHARE_EDGES, AssetToRead, asset_name
from partner_connector.worker.sync import progress
from partner_connector.worker.sync.stage.access import known_digests

_REFUSED = "edge_refused"
_OWN_EDGE_REFUSED = "own_edge_refused"
_ACCEPTED = "out_of_sight"
_MAX_NAMES = 5


async def accepted_hidden_names(
    session: AsyncSession, partner_id: uuid.UUID | None
) -> frozenset[str]:
    """Return the names of assets and edges that an operator accepted as hidden."""
    capability = await session.get(Capability, partner_id) if partner_id else None
    accepted = capability.confirmed if capability is not None else None
    return frozenset((accepted or {}).get("hidden") or ())


def warn_of_refused_list(
    job: SyncJob, edge: str, refusal: GraphError, accepted: Collection[str] | None
) -> None:
    """Add a warning about a refused list of shared assets.

    `accepted` is None for lists of our own business, which an acceptance never covers.
    """
    if accepted is None:
        detail = f"Meta refused to list {edge} of our own business: {refusal}"
        progress.warn(job, _OWN_EDGE_REFUSED, edge, detail)
    elif edge in accepted:
        detail = f"The token cannot see {edge}, and an operator accepted this."
        progress.add_warning(job, _ACCEPTED, edge, detail)
    else:
        progress.warn(job, _REFUSED, edge, f"Meta refused to list {edge}: {refusal}")


async def stage_hidden(
    session: AsyncSession,
    job: SyncJob,
    hidden: Sequence[AssetToRead],
    accepted: Collection[str],
) -> None:
    """Mark staged assets as hidden. An accepted asset keeps the access of its last read."""
    digests = await known_digests(session, job, hidden)
    for asset in hidden:
        is_accepted = asset.key in accepted
        await session.execute(
            update(StagedAsset)
            .where(StagedAsset.job_id == job.id)
            .where(StagedAsset.type == asset.type, StagedAsset.meta_id == asset.meta_id)
            .values(
                state="out_of_sight" if is_accepted else "refused",
                access_digest=digests.get((asset.type, asset.meta_id)) if is_accepted else None,
                is_unchanged=is_accepted,
                read_at=now(),
            )
        )
    known = [asset for asset in hidden if asset.key in accepted]
    if known:
        named = ", ".join(asset.label for asset in known[:_MAX_NAMES])
        rest = f" and {len(known) - _MAX_NAMES} more" if len(known) > _MAX_NAMES else ""
        detail = (
            f"The token cannot see these assets, and an operator accepted this: {named}{rest}. "
            "Their users are those of the last successful read."
        )
        progress.add_warning(job, _ACCEPTED, None, detail)


async def hidden_from(session: AsyncSession, job: SyncJob) -> list[str]:
    """Return the names of assets and edges that Meta hid from this job, accepted or not."""
    rows = await session.execute(
        select(StagedAsset.type, StagedAsset.meta_id).where(
            StagedAsset.job_id == job.id, StagedAsset.state.in_(("refused", "out_of_sight"))
        )
    )
    assets = {asset_name(asset_type, meta_id) for asset_type, meta_id in rows}
    edges = {
        warning["edge"]
        for warning in job.warnings
        if warning["code"] in {_REFUSED, _ACCEPTED} and warning["edge"] in SHARE_EDGES
    }
    return sorted(assets | edges)
