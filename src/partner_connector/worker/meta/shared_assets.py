"""Which assets are shared between us and a partner, in both directions.

Assets of ours that the partner may use are listed by the partner (`client_*` of the partner,
rows that we own); assets of theirs that we may use are listed by us (`client_*` of our business,
rows that they own). CALL_PLANS a3: authoritative, and four reads in one batch. Where Meta allows
it, each row brings along who of the business is assigned to the asset (plan c2).
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
HITS_THE_REST_TOO = (TokenDead, Throttled, Unreachable)


@dataclass(frozen=True, slots=True)
class AssetToRead:
    """An asset of Meta's. An ad account's `meta_id` is its number without `act_`."""

    type: str
    meta_id: str
    name: str

    @property
    def path(self) -> str:
        """Where Meta keeps it."""
        return ad_account_path(self.meta_id) if self.type == "ad_account" else self.meta_id

    @property
    def key(self) -> str:
        """What it is called where a token's view is compared."""
        return asset_name(self.type, self.meta_id)

    @property
    def label(self) -> str:
        """What it is called where a person reads of it."""
        return f"{self.type} {self.name} ({self.meta_id})"


@dataclass(frozen=True, slots=True)
class SharedAsset(AssetToRead):
    """An asset that is shared between us and a partner."""

    direction: str
    permitted_tasks: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class SharedAssets:
    """Some assets of one edge, or the reason why Meta did not show it."""

    edge: str
    assets: Sequence[SharedAsset] = ()
    # Who is assigned, by (type, meta id), as the row of the asset told it: an edge's answer.
    people: Mapping[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    refusal: GraphError | None = None
    # Rows that did not say whose they are, so that nobody can say whether they are shared with us.
    without_owner: int = 0
    # Meta refuses the rows with their people for good, and gave them without.
    is_bare: bool = False


# By type of asset, the edge that lists what others shared with a business.
_EDGES: dict[str, Callable[..., Read]] = {
    "ad_account": edges.client_ad_accounts,
    "page": edges.client_pages,
    "product_catalog": edges.client_product_catalogs,
    "pixel": edges.client_pixels,
}
# What a refusal of one of these hides is told per partner (`sync.out_of_sight`).
SHARE_EDGES = {edge("0").edge: asset_type for asset_type, edge in _EDGES.items()}


def asset_name(asset_type: str, meta_id: str) -> str:
    """What an asset is called where a token's view is compared."""
    return f"{asset_type}:{meta_id}"


def is_shared_with(agency: Mapping[str, Any], business_id: str) -> bool:
    """Whether a row of an asset's `agencies` is a share with this business that is in force.

    A missing status counts as shared, PENDING does not (CALL_PLANS a2).
    """
    confirmed = str(agency.get("access_status", "CONFIRMED")).upper() != "PENDING"
    return confirmed and str(agency.get("id")) == business_id


def _bare_reads(business_id: str) -> list[Read]:
    """Return the reads of what others shared with this business, one for each type of asset."""
    return [edge(business_id) for edge in _EDGES.values()]


def reads_with_people(business_id: str, *, refused: Collection[str] = ()) -> list[Read]:
    """Return the same with each asset's people, except for edges that are known to refuse that.

    Pages never tell theirs in a list: each wants its own token for that (REFERENCE 3.2 [D]).
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
    """Yield page by page what `owned_by` shares with the business whose token the reader holds.

    An edge that Meta refuses is told as such: it is unknown, not empty. Any other failure is
    raised, since it would hit the rest too; but not for people in the rows, which no document
    promises: then the rows are read without.
    """
    for first in first_pages:
        edge, is_bare = first.read.edge, False
        rest: Read | FirstPage = first
        bare = _EDGES[SHARE_EDGES[edge]](first.read.subject)
        if first.read != bare:
            try:
                async for page in reader.pages(first):
                    yield _of_owner(edge, page.rows, owned_by, direction)
                continue
            except HITS_THE_REST_TOO:
                raise
            except GraphError as trouble:
                rest, is_bare = bare, not trouble.transient
        try:
            async for page in reader.pages(rest):
                yield replace(_of_owner(edge, page.rows, owned_by, direction), is_bare=is_bare)
        except REFUSALS as refusal:
            yield SharedAssets(edge, refusal=refusal)


async def shared_to_us(
    host: GraphReader, *, host_business_id: str, partner_business_id: str
) -> AsyncIterator[SharedAssets]:
    """Yield what the partner shares with us, which only our own business lists."""
    first_pages = await host.batch([first_page(read) for read in _bare_reads(host_business_id)])
    async for some in shared_assets(
        host, first_pages, owned_by=partner_business_id, direction=THEIRS_TO_US
    ):
        yield some


def _of_owner(
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
    """Return the id of the business whose row this is; None where the row does not say so."""
    business = row.get("business") or row.get("owner_business")
    told = business.get("id") if isinstance(business, dict) else None
    return None if told is None else str(told)


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
