"""Assets that were shared at the last sync job and that this job does not list.

A shorter list is no evidence that a share ended (`docs/reference/graph-facts.md#short-lists`): Meta
shows an empty list to an app that did not read it for a month (`#asset-lists`). So this module
reads, with the token of the asset's owner, the businesses with which the asset is shared. If that
is unknown too, the asset counts as shared.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.facts import ASSET, SHARE, columns
from partner_connector.db.models import Asset, AssetShare, StagedAsset
from partner_connector.graph import (
    Answer,
    GraphClient,
    GraphError,
    GraphReader,
    TokenDead,
    UnknownGraphError,
    answer_to,
    edges,
    page_from,
)
from partner_connector.worker.meta.access import PAGE_REFUSALS, page_readers
from partner_connector.worker.meta.shared_assets import SharedAsset, is_shared_with
from partner_connector.worker.sync.target import Target


async def unlisted_shares(
    session: AsyncSession, target: Target, attempt: int, direction: str
) -> list[SharedAsset]:
    """Return the assets known as shared in this direction that this attempt did not list."""
    listed = exists().where(
        StagedAsset.job_id == target.job_id,
        StagedAsset.listed_in == attempt,
        StagedAsset.type == Asset.type,
        StagedAsset.meta_id == Asset.meta_id,
    )
    facts = (*columns(Asset, ASSET).values(), *columns(AssetShare, SHARE).values())
    query = (
        select(Asset.type, Asset.meta_id, *facts)
        .join(AssetShare, AssetShare.asset_id == Asset.id)
        .where(AssetShare.partner_id == target.partner_id)
        .where(AssetShare.direction == direction, ~listed)
    )
    known = (await session.execute(query)).mappings()
    return [SharedAsset(**{name: _hashable(row[name]) for name in row}) for row in known]


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


async def still_shared(
    graph: GraphClient, owner: GraphReader, assets: Sequence[SharedAsset], shared_to: str
) -> tuple[list[SharedAsset], int]:
    """Return the assets that are or may be shared with this business, and the number of calls."""
    pages = [asset for asset in assets if asset.type == "page"]
    others = [asset for asset in assets if asset.type != "page"]
    reads = [answer_to(edges.asset_agencies(asset.path)) for asset in others]
    answers = dict(zip(others, await owner.batch(reads), strict=True))
    readers = await page_readers(graph, owner, {page.meta_id for page in pages}) if pages else {}
    for page in pages:
        reader = readers.get(page.meta_id, owner)
        try:
            answers[page] = await reader.get(edges.asset_agencies(page.path))
        except PAGE_REFUSALS as error:
            answers[page] = error
        if isinstance(answers[page], TokenDead) and reader is not owner:
            # Only the Page's token is dead; the owner's token may still work.
            answers[page] = UnknownGraphError("Meta refused the Page's own token")
    hidden = [asset for asset, answer in answers.items() if _may_be_shared(answer, shared_to)]
    return hidden, sum(reader.meter.counted_calls for reader in {owner, *readers.values()})


def _may_be_shared(answer: Answer, shared_to: str) -> bool:
    if isinstance(answer, GraphError):
        if answer.transient or isinstance(answer, TokenDead):
            raise answer
        # Includes "not found", which Meta also returns for hidden objects (`#error-codes`).
        return True
    page = page_from(answer)
    return page.next_cursor is not None or any(is_shared_with(row, shared_to) for row in page.rows)
