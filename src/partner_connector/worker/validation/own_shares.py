"""Assets that our own business shares with a partner, read with our own business's token.

A narrowed token never lists the assets it leaves out, so only our own business can show what is
missing. These reads happen only for a narrowed token, because they cost a page of assets for each
type (`docs/reference/graph-facts.md#plan-partners`).
"""

from collections.abc import Callable

from partner_connector.graph import (
    GraphError,
    GraphReader,
    Read,
    TokenDead,
    edges,
    nested_page,
)
from partner_connector.worker.meta.shared_assets import (
    OURS_TO_PARTNER,
    SharedAsset,
    asset_from,
    is_shared_with,
)

_OWNED: tuple[tuple[str, Callable[..., Read]], ...] = (
    ("ad_account", edges.owned_ad_accounts),
    ("product_catalog", edges.owned_product_catalogs),
    ("pixel", edges.owned_pixels),
)


async def shared_by_us(
    own_reader: GraphReader, *, own_business_id: str, partner_business_id: str
) -> list[SharedAsset] | None:
    """Return our ad accounts, catalogs and pixels that the partner may use; None if Meta refuses.

    Pages are left out: reading their `agencies` needs a token of each Page (#asset-agencies).
    """
    found: list[SharedAsset] = []
    try:
        for asset_type, edge in _OWNED:
            for row in await own_reader.rows(edge(own_business_id, with_agencies=True)):
                # Only the first page of agencies, a hundred, is read: more are unlikely.
                agencies = nested_page(row, "agencies").rows
                if any(is_shared_with(agency, partner_business_id) for agency in agencies):
                    found.append(asset_from(row, asset_type, OURS_TO_PARTNER))
    except GraphError as error:
        if error.transient and not isinstance(error, TokenDead):
            raise
        return None
    return found
