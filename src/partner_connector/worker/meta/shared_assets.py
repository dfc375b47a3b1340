"""Assets shared between our own business and a partner, in both directions.

The partner's `client_*` edges list the assets that our business owns and the partner may use. The
`client_*` edges of our business list the assets that the partner owns and we may use. These lists
are authoritative, and one batch reads all four (`docs/reference/graph-facts.md#plan-partners`).
Where Meta allows it, each row also holds the users assigned to the asset (`#plan-people`).
"""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from partner_connector.graph import (
    REFUSALS,
    FirstPage,
    GraphError,
    GraphReader,
    Read,
    Throttled,
    TokenDead,
    Unreachable,
    ad_account_path,
    edges,
    first_page,
)

OURS_TO_PARTNER = "ours_shared_to_partner"
THEIRS_TO_US = "theirs_shared_to_us"
_PEOPLE = "assigned_users"
ERRORS_OF_ALL_READS = (TokenDead, Throttled, Unreachable)


@dataclass(frozen=True, slots=True)
class AssetToRead:
    """Asset at Meta. The `meta_id` of an ad account is its number without `act_`."""

    type: str
    meta_id: str
    name: str

    @property
    def path(self) -> str:
        """Path of the asset's node in the Graph API."""
        return ad_account_path(self.meta_id) if self.type == "ad_account" else self.meta_id

    @property
    def key(self) -> str:
        """Name of the asset in capabilities."""
        return asset_name(self.type, self.meta_id)

    @property
    def label(self) -> str:
        """Name of the asset in texts for people."""
        return f"{self.type} {self.name} ({self.meta_id})"


@dataclass(frozen=True, slots=True)
class SharedAsset(AssetToRead):
    """Asset shared between our own business and a partner."""

    direction: str
    permitted_tasks: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class SharedAssets:
    """Assets of one page of an edge, or Meta's refusal of the edge."""

    edge: str
    assets: Sequence[SharedAsset] = ()
    # Assigned users by (type, meta id): the nested answer in the row of the asset.
    people: Mapping[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    refusal: GraphError | None = None
    # Number of rows that do not name their owner: it is unknown if these assets are shared.
    without_owner: int = 0
    # Meta permanently refuses nested users on this edge, and returned the rows without them.
    nested_refused: bool = False


# By type of asset, the edge that lists what others shared with a business.
_EDGES: dict[str, Callable[..., Read]] = {
    "ad_account": edges.client_ad_accounts,
    "page": edges.client_pages,
    "product_catalog": edges.client_product_catalogs,
    "pixel": edges.client_pixels,
}
# A refusal of one of these edges can be accepted for each partner (`sync.read.hidden_assets`).
SHARE_EDGES = {edge("0").edge: asset_type for asset_type, edge in _EDGES.items()}


def asset_name(asset_type: str, meta_id: str) -> str:
    """Return the name of an asset in capabilities."""
    return f"{asset_type}:{meta_id}"


def is_shared_with(agency: Mapping[str, Any], business_id: str) -> bool:
    """Return True if a row of an asset's `agencies` is an active share with this business.

    A missing status counts as active, PENDING does not (`#plan-partners`).
    """
    confirmed = str(agency.get("access_status", "CONFIRMED")).upper() != "PENDING"
    return confirmed and str(agency.get("id")) == business_id


def _bare_reads(business_id: str) -> list[Read]:
    """Return the reads of what others shared with this business, one for each type of asset."""
    return [edge(business_id) for edge in _EDGES.values()]


def reads_with_people(business_id: str, *, refused: Collection[str] = ()) -> list[Read]:
    """Return the reads of `_bare_reads` with each asset's users, except for the edges in `refused`.

    A list never holds the users of Pages: reading them needs the Page's token (`#assigned-users`).
    """
    return [
        read
        if read.edge in {"client_pages", *refused}
        else _EDGES[SHARE_EDGES[read.edge]](business_id, with_people=True)
        for read in _bare_reads(business_id)
    ]


async def shared_assets(
    reader: GraphReader, first_pages: Sequence[FirstPage], *, owned_by: str, direction: str
) -> AsyncIterator[SharedAssets]:
    """Yield, page by page, the assets that `owned_by` shares with the reader's business.

    A refused edge yields its refusal: it is unknown, not empty. Other errors are raised. If an
    edge fails with nested users, which Meta does not document, it is read again without them;
    only errors that affect all reads (`ERRORS_OF_ALL_READS`) are raised at once.
    """
    for first in first_pages:
        edge, nested_refused = first.read.edge, False
        rest: Read | FirstPage = first
        bare = _EDGES[SHARE_EDGES[edge]](first.read.subject)
        if first.read != bare:
            try:
                async for page in reader.pages(first):
                    yield _assets_of_owner(edge, page.rows, owned_by, direction)
                continue
            except ERRORS_OF_ALL_READS:
                raise
            except GraphError as error:
                rest, nested_refused = bare, not error.transient
        try:
            async for page in reader.pages(rest):
                shared = _assets_of_owner(edge, page.rows, owned_by, direction)
                yield replace(shared, nested_refused=nested_refused)
        except REFUSALS as refusal:
            yield SharedAssets(edge, refusal=refusal)


async def shared_to_us(
    own_reader: GraphReader, *, own_business_id: str, partner_business_id: str
) -> AsyncIterator[SharedAssets]:
    """Yield the assets that the partner shares with us; only our own business lists them."""
    first_pages = await own_reader.batch(
        [first_page(read) for read in _bare_reads(own_business_id)]
    )
    async for page in shared_assets(
        own_reader, first_pages, owned_by=partner_business_id, direction=THEIRS_TO_US
    ):
        yield page


def _assets_of_owner(
    edge: str, rows: Sequence[dict[str, Any]], owner: str, direction: str
) -> SharedAssets:
    owners = [business_of(row) for row in rows]
    ours = [
        (asset_from(row, SHARE_EDGES[edge], direction), row)
        for row, row_owner in zip(rows, owners, strict=True)
        if row_owner == owner
    ]
    people = {
        (asset.type, asset.meta_id): row[_PEOPLE]
        for asset, row in ours
        if isinstance(row.get(_PEOPLE), dict)
    }
    return SharedAssets(
        edge, [asset for asset, _ in ours], people=people, without_owner=owners.count(None)
    )


def business_of(row: Mapping[str, Any]) -> str | None:
    """Return the id of the business in a row; None if the row names none."""
    business = row.get("business") or row.get("owner_business")
    business_id = business.get("id") if isinstance(business, dict) else None
    return None if business_id is None else str(business_id)


def asset_from(row: dict[str, Any], asset_type: str, direction: str) -> SharedAsset:
    """Convert a row of an edge that lists assets."""
    meta_id = str(row.get("account_id") or row["id"]).removeprefix("act_")
    # Catalogs have roles where other assets have tasks (`#asset-lists`).
    tasks = row.get("permitted_tasks", row.get("permitted_roles"))
    return SharedAsset(
        type=asset_type,
        meta_id=meta_id,
        name=str(row.get("name") or meta_id),
        direction=direction,
        permitted_tasks=None if tasks is None else tuple(sorted(str(task) for task in tasks)),
    )
