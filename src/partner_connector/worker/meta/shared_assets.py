"""Which assets are shared between us and a partner, in both directions.

Assets of ours that the partner may use are listed by the partner (`client_*` of the partner,
rows that we own); assets of theirs that we may use are listed by us (`client_*` of our business,
rows that they own). CALL_PLANS a3: authoritative, and four reads in one batch. Where Meta allows
it, each row brings along who of the business is assigned to the asset (plan c2).
"""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from partner_connector.graph import (
    REFUSALS,
    GraphError,
    GraphReader,
    Read,
    Throttled,
    TokenDead,
    Unreachable,
    ad_account_path,
    edges,
)

OURS_TO_PARTNER = "ours_shared_to_partner"
THEIRS_TO_US = "theirs_shared_to_us"
_PEOPLE = "assigned_users"
_HITS_THE_REST_TOO = (TokenDead, Throttled, Unreachable)


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

    @property
    def key(self) -> str:
        """What it is called where a token's view is compared."""
        return asset_name(self.type, self.meta_id)


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


_EDGES: dict[str, Callable[[str], Read]] = {
    "ad_account": edges.client_ad_accounts,
    "page": edges.client_pages,
    "product_catalog": edges.client_product_catalogs,
    "pixel": edges.client_pixels,
}
_WITH_PEOPLE: dict[str, Callable[[str], Read]] = {
    "ad_account": partial(edges.client_ad_accounts, with_people=True),
    "product_catalog": partial(edges.client_product_catalogs, with_people=True),
    "pixel": partial(edges.client_pixels, with_people=True),
}


# What a refusal of one of these hides is told per partner (`sync.out_of_sight`).
SHARE_EDGES = frozenset(edge("0").edge for edge in _EDGES.values())


def asset_name(asset_type: str, meta_id: str) -> str:
    """What an asset is called where a token's view is compared."""
    return f"{asset_type}:{meta_id}"


def asset_path(asset_type: str, meta_id: str) -> str:
    """The node of an asset: only ad accounts have a prefix."""
    return ad_account_path(meta_id) if asset_type == "ad_account" else meta_id


def is_shared_with(agency: Mapping[str, Any], business_id: str) -> bool:
    """Whether a row of an asset's `agencies` is a share with this business that is in force.

    A missing status counts as shared, PENDING does not (CALL_PLANS a2).
    """
    confirmed = str(agency.get("access_status", "CONFIRMED")).upper() != "PENDING"
    return confirmed and str(agency.get("id")) == business_id


def _received_reads(business_id: str) -> dict[str, Read]:
    """By type of asset, the read that lists what others shared with this business."""
    return {asset_type: edge(business_id) for asset_type, edge in _EDGES.items()}


def reads_with_people(business_id: str, *, refused: Collection[str] = ()) -> dict[str, Read]:
    """The same with each asset's people, except for edges that are known to refuse that."""
    reads = _received_reads(business_id)
    for asset_type, edge in _WITH_PEOPLE.items():
        if reads[asset_type].edge not in refused:
            reads[asset_type] = edge(business_id)
    return reads


async def shared_assets(
    reader: GraphReader,
    reads: Mapping[str, Read],
    first_pages: Sequence[dict[str, Any] | GraphError],
    *,
    owned_by: str,
    direction: str,
) -> AsyncIterator[SharedAssets]:
    """Page by page, what `owned_by` shares with the business whose token the reader holds.

    `first_pages` are the answers of a batch to `reads`. An edge that Meta refuses is told as such:
    it is unknown, not empty. Any other failure is raised, since it would hit the rest too; but
    not for people in the rows, which no document promises: then the rows are read without.
    """
    for (asset_type, read), first in zip(reads.items(), first_pages, strict=True):
        place, is_bare = read, False
        answer: dict[str, Any] | GraphError | None = first
        bare = _EDGES[asset_type](read.subject)
        if read != bare:
            try:
                async for page in reader.pages(read, first):
                    yield _of_owner(read.edge, page.rows, asset_type, owned_by, direction)
                continue
            except _HITS_THE_REST_TOO:
                raise
            except GraphError as trouble:
                place, answer, is_bare = bare, None, not trouble.transient
        try:
            async for page in reader.pages(place, answer):
                found = _of_owner(read.edge, page.rows, asset_type, owned_by, direction)
                yield replace(found, is_bare=is_bare)
        except REFUSALS as refusal:
            yield SharedAssets(read.edge, refusal=refusal)


async def shared_to_us(
    host: GraphReader, *, host_business_id: str, partner_business_id: str
) -> AsyncIterator[SharedAssets]:
    """What the partner shares with us, which only our own business lists."""
    reads = _received_reads(host_business_id)
    first_pages = await host.batch(list(reads.values()))
    async for some in shared_assets(
        host, reads, first_pages, owned_by=partner_business_id, direction=THEIRS_TO_US
    ):
        yield some


def _of_owner(
    edge: str, rows: Sequence[dict[str, Any]], asset_type: str, owner: str, direction: str
) -> SharedAssets:
    owners = [_owner_of(row) for row in rows]
    ours = [
        (asset_from(row, asset_type, direction), row)
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


def _owner_of(row: Mapping[str, Any]) -> str | None:
    owner = row.get("business") or row.get("owner_business")
    told = owner.get("id") if isinstance(owner, dict) else None
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
