"""Which of our assets are shared with a partner, as our own business sees it.

A token that is narrowed to some assets never lists those it leaves out, so its own view cannot show
what is missing. Read only where a token is narrowed: it costs a page of our assets for each type
(CALL_PLANS a2).
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
    host: GraphReader, *, host_business_id: str, partner_business_id: str
) -> list[SharedAsset] | None:
    """Ad accounts, catalogs and pixels of ours that the partner may use; None where Meta refused.

    Pages are not among them: their `agencies` want a Page token each (REFERENCE 3.1 [D]).
    """
    found: list[SharedAsset] = []
    try:
        for asset_type, edge in _OWNED:
            for row in await host.rows(edge(host_business_id, with_agencies=True)):
                # Whether further agencies stand on a next page is not followed: a hundred is many.
                agencies = nested_page(row, "agencies").rows
                if any(is_shared_with(agency, partner_business_id) for agency in agencies):
                    found.append(asset_from(row, asset_type, OURS_TO_PARTNER))
    except GraphError as error:
        if error.transient and not isinstance(error, TokenDead):
            raise
        return None
    return found
