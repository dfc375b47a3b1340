"""Which of our assets are shared with a partner, as our own business sees it.

A token that is narrowed to some assets never lists those it leaves out, so its own view cannot show
what is missing. Read only where a token is narrowed: it costs a page of our assets for each type
(CALL_PLANS a2).
"""

from collections.abc import Callable
from typing import Any

from partner_connector.graph import (
    GraphError,
    GraphReader,
    Read,
    TokenDead,
    edges,
    nested_page,
)
from partner_connector.sync.shared_assets import OURS_TO_PARTNER, SharedAsset

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
                if any(_is_share_with(agency, partner_business_id) for agency in agencies):
                    found.append(_asset(asset_type, row))
    except GraphError as error:
        if error.transient and not isinstance(error, TokenDead):
            raise
        return None
    return found


def _is_share_with(agency: dict[str, Any], partner_business_id: str) -> bool:
    # A missing status counts as shared, PENDING does not (CALL_PLANS a2).
    confirmed = str(agency.get("access_status", "CONFIRMED")).upper() == "CONFIRMED"
    return confirmed and agency.get("id") == partner_business_id


def _asset(asset_type: str, row: dict[str, Any]) -> SharedAsset:
    meta_id = str(row.get("account_id") or row["id"]).removeprefix("act_")
    return SharedAsset(asset_type, meta_id, str(row.get("name") or meta_id), OURS_TO_PARTNER, None)
