"""Which assets are shared between us and a partner, in both directions.

Assets of ours that the partner may use are listed by the partner (`client_*` of the partner,
rows that we own); assets of theirs that we may use are listed by us (`client_*` of our business,
rows that they own). CALL_PLANS a3: authoritative, and four reads in one batch.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from partner_connector.graph import (
    REFUSALS,
    GraphError,
    GraphReader,
    Read,
    ad_account_path,
    edges,
    page_from,
)

OURS_TO_PARTNER = "ours_shared_to_partner"
THEIRS_TO_US = "theirs_shared_to_us"


@dataclass(frozen=True, slots=True)
class SharedAsset:
    """One asset. An ad account's `meta_id` is its number without `act_`."""

    type: str
    meta_id: str
    name: str
    direction: str
    permitted_tasks: tuple[str, ...] | None

    @property
    def path(self) -> str:
        """Where Meta keeps it."""
        return asset_path(self.type, self.meta_id)


@dataclass(frozen=True, slots=True)
class SharedAssets:
    """Some assets of one edge, or the reason why Meta did not show it."""

    edge: str
    assets: Sequence[SharedAsset]
    refusal: GraphError | None = None
    # Rows that did not say whose they are, so that nobody can say whether they are shared with us.
    without_owner: int = 0


_EDGES: tuple[tuple[str, Callable[[str], Read]], ...] = (
    ("ad_account", edges.client_ad_accounts),
    ("page", edges.client_pages),
    ("product_catalog", edges.client_product_catalogs),
    ("pixel", edges.client_pixels),
)


def asset_path(asset_type: str, meta_id: str) -> str:
    """The node of an asset: only ad accounts have a prefix."""
    return ad_account_path(meta_id) if asset_type == "ad_account" else meta_id


def is_shared_with(agency: Mapping[str, Any], business_id: str) -> bool:
    """Whether a row of an asset's `agencies` is a share with this business that is in force.

    A missing status counts as shared, PENDING does not (CALL_PLANS a2).
    """
    confirmed = str(agency.get("access_status", "CONFIRMED")).upper() != "PENDING"
    return confirmed and agency.get("id") == business_id


async def shared_assets(
    reader: GraphReader, *, shared_to: str, owned_by: str, direction: str
) -> AsyncIterator[SharedAssets]:
    """Page by page, what `owned_by` shares to `shared_to`, whose token the reader holds.

    An edge that Meta refuses is told as such: it is unknown, not empty. Any other failure is
    raised, since it would hit the rest too.
    """
    reads = [edge(shared_to) for _, edge in _EDGES]
    first_pages = await reader.batch(reads)
    for (asset_type, _), read, answer in zip(_EDGES, reads, first_pages, strict=True):
        if isinstance(answer, REFUSALS):
            yield SharedAssets(read.edge, (), answer)
            continue
        if isinstance(answer, GraphError):
            raise answer
        page = page_from(answer)
        yield _of_owner(read.edge, page.rows, asset_type, owned_by, direction)
        if page.next_cursor is None:
            continue
        try:
            async for later in reader.pages(read.after(page.next_cursor)):
                yield _of_owner(read.edge, later.rows, asset_type, owned_by, direction)
        except REFUSALS as error:
            yield SharedAssets(read.edge, (), error)


def _of_owner(
    edge: str, rows: Sequence[dict[str, Any]], asset_type: str, owner: str, direction: str
) -> SharedAssets:
    owners = [(row.get("business") or row.get("owner_business") or {}).get("id") for row in rows]
    ours = [
        asset_from(row, asset_type, direction)
        for row, row_owner in zip(rows, owners, strict=True)
        if row_owner == owner
    ]
    return SharedAssets(edge, ours, without_owner=owners.count(None))


def asset_from(row: dict[str, Any], asset_type: str, direction: str) -> SharedAsset:
    """One row of an edge that lists assets, with our names."""
    meta_id = str(row.get("account_id") or row["id"]).removeprefix("act_")
    # Catalogs tell roles where the others tell tasks (REFERENCE 2.3 [D]).
    tasks = row.get("permitted_tasks", row.get("permitted_roles"))
    return SharedAsset(
        type=asset_type,
        meta_id=meta_id,
        name=str(row.get("name") or meta_id),
        direction=direction,
        permitted_tasks=None if tasks is None else tuple(sorted(str(task) for task in tasks)),
    )
