"""Shared assets and lists that Meta hides from a token, and what it means to have accepted that.

Whoever takes a permission or an asset from the system user hides what is still shared. Until that
is accepted, nobody of the partner is removed. From then on an asset that is hidden counts as it was
when it was last seen: its people keep their access in our eyes, and everything else is judged
again. One that is shown again is read like any other.
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
_OURS_REFUSED = "own_edge_refused"
_ACCEPTED = "out_of_sight"
_NAMED_AT_MOST = 5


async def accepted_out_of_sight(
    session: AsyncSession, partner_id: uuid.UUID | None
) -> frozenset[str]:
    """The names of assets and edges that somebody accepted to be hidden."""
    capability = await session.get(Capability, partner_id) if partner_id else None
    proven = capability.proven if capability is not None else None
    return frozenset((proven or {}).get("hidden") or ())


def note_refused_list(
    job: SyncJob, edge: str, refusal: GraphError, accepted: Collection[str] | None
) -> None:
    """A list of shared assets that Meta does not show. `accepted` is null for our own lists, which
    no accepting of a partner's is about.
    """
    if accepted is None:
        progress.warn(job, _OURS_REFUSED, edge, f"Meta refused to list our {edge}: {refusal}")
    elif edge in accepted:
        progress.tell(job, _ACCEPTED, edge, f"{edge} is hidden from the token, which was accepted.")
    else:
        progress.warn(job, _REFUSED, edge, f"Meta refused to list {edge}: {refusal}")


async def stage_hidden(
    session: AsyncSession,
    job: SyncJob,
    hidden: Sequence[AssetToRead],
    accepted: Collection[str],
) -> None:
    """Mark staged assets as hidden; one that was accepted to be hidden is as it was."""
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
        named = ", ".join(asset.label for asset in known[:_NAMED_AT_MOST])
        rest = f" and {len(known) - _NAMED_AT_MOST} more" if len(known) > _NAMED_AT_MOST else ""
        detail = (
            f"Hidden from the token, which was accepted: {named}{rest}. Their people are shown as "
            "they were last seen."
        )
        progress.tell(job, _ACCEPTED, None, detail)


async def hidden_from(session: AsyncSession, job: SyncJob) -> list[str]:
    """What this check was not shown, accepted or not: assets as they were staged, and edges."""
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
