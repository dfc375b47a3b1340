"""Who of a business is assigned to each asset, as Meta tells it. Nothing is written here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from partner_connector.graph import (
    REFUSALS,
    Blocked,
    GraphClient,
    GraphError,
    GraphReader,
    Read,
    TokenDead,
    UnknownGraphError,
    edges,
    page_from,
)
from partner_connector.sync.shared_assets import SharedAsset, SharedAssets, asset_path

# A Page token dies by itself when its admin loses the Page; the partner's own may live.
PAGE_REFUSALS = (*REFUSALS, TokenDead, Blocked, UnknownGraphError)

Answer = dict[str, Any] | GraphError


@dataclass(frozen=True, slots=True)
class AssetToRead:
    """A staged asset whose users are to be read."""

    type: str
    meta_id: str
    name: str

    @property
    def path(self) -> str:
        """Where Meta keeps it."""
        return asset_path(self.type, self.meta_id)


@dataclass(slots=True)
class AccessRead:
    """What came of reading one asset's users."""

    asset: AssetToRead
    rows: list[dict[str, Any]] = field(default_factory=list)
    refusal: GraphError | None = None
    # Rows came to an end, but Meta counts more, or told nothing at all.
    is_short: bool = False

    @property
    def is_complete(self) -> bool:
        """Whether somebody who is not among the rows surely has no access."""
        return self.refusal is None and not self.is_short


@dataclass(slots=True)
class AccessBatch:
    """What one batch brought: the assets that were read, and what kept the others from it."""

    reads: list[AccessRead] = field(default_factory=list)
    trouble: GraphError | None = None
    # Meta took no notice of the Page tokens that the reads of a batch came with.
    own_tokens_ignored: bool = False


def access_told_by(shared: SharedAssets, business_id: str) -> list[tuple[SharedAsset, AccessRead]]:
    """The assets whose own rows told all of who is assigned to them.

    The others have to be asked: Meta leaves out an expanded edge without rows, and also one that
    it refuses (8.2 [O]).
    """
    return [
        (asset, read)
        for asset in shared.assets
        if (nested := shared.people.get((asset.type, asset.meta_id))) is not None
        and (read := access_from_row(asset, nested, business_id)) is not None
    ]


def access_from_row(
    shared: SharedAsset, nested: Mapping[str, Any], business_id: str
) -> AccessRead | None:
    """What the asset's own row told (plan c2); None where the asset has to be asked itself.

    That `.business()` chooses in an expansion is inferred (12.5 [?]): a row that does not name
    the business may be of another one, so then nothing of the list is believed.
    """
    try:
        page = page_from(nested)
    except UnknownGraphError:
        return None
    if page.next_cursor is not None or not all(_is_of(row, business_id) for row in page.rows):
        return None
    asset = AssetToRead(shared.type, shared.meta_id, shared.name)
    read = _access(asset, page.rows, page.total_count, business_id)
    return read if read.is_complete else None


def _is_of(row: Mapping[str, Any], business_id: str) -> bool:
    return bool(row.get("id")) and _business_of(row) == business_id


async def read_access(
    reader: GraphReader,
    assets: Sequence[AssetToRead],
    business_id: str,
    page_readers: Mapping[str, GraphReader],
    *,
    own_tokens_in_batch: bool = True,
) -> AccessBatch:
    """One batch for all of these assets, each Page with its own token (REFERENCE 3.2 [D]) where
    Meta hears those of single reads.

    A Page that gives no token is asked with the one we have; Meta may accept it. What was read is
    kept when some of the assets meet a limit or trouble at Meta's end: they are left out of
    `reads`, and the first such error is the `trouble`.
    """
    reads = [edges.assigned_users(asset.path, business_id) for asset in assets]
    pages = {
        place: page_readers[asset.meta_id]
        for place, asset in enumerate(assets)
        if asset.type == "page" and asset.meta_id in page_readers
    }
    answers, ignored = await _first_answers(reader, reads, pages, own_tokens_in_batch)
    batch = AccessBatch(own_tokens_ignored=ignored)
    for place, (asset, read, answer) in enumerate(zip(assets, reads, answers, strict=True)):
        if batch.trouble is not None and _goes_on(answer):
            continue
        refusals = PAGE_REFUSALS if place in pages else REFUSALS
        try:
            rows, total = await _to_the_end(pages.get(place, reader), read, answer)
            batch.reads.append(_access(asset, rows, total, business_id))
        except refusals as error:
            batch.reads.append(AccessRead(asset, refusal=error))
        except TokenDead:
            raise
        except GraphError as error:
            batch.trouble = batch.trouble or error
    return batch


async def _first_answers(
    reader: GraphReader,
    reads: Sequence[Read],
    pages: Mapping[int, GraphReader],
    own_tokens_in_batch: bool,
) -> tuple[list[Answer], bool]:
    """The first page of each read, and whether Meta ignored the tokens that reads came with.

    A Page's list as another token sees it could be shorter without a word, and nothing in it tells
    whose token was heard (8.1 [?]). So one Page's token also asks who it is, in the same batch:
    only where that is the Page, what came of Page tokens counts; else each Page is asked alone.
    """
    in_batch = [place for place in range(len(reads)) if own_tokens_in_batch or place not in pages]
    asked = [reads[place] for place in in_batch]
    own = {at: pages[place] for at, place in enumerate(in_batch) if place in pages}
    who = next(iter(pages), None) if own_tokens_in_batch else None
    if who is not None:
        own[len(asked)] = pages[who]
        asked.append(edges.me())
    brought = await reader.batch(asked, own) if asked else []
    answers = dict(zip(in_batch, brought, strict=False))  # but for who it is
    if who is not None and _is_page(brought[-1], reads[who].subject):
        return [answers[place] for place in range(len(reads))], False
    alone = {place: await _alone(own_reader, reads[place]) for place, own_reader in pages.items()}
    answers |= alone
    would_go_alone = any(isinstance(answer, dict) for answer in alone.values())
    ignored = who is not None and would_go_alone and not _is_its_own_trouble(brought[-1])
    return [answers[place] for place in range(len(reads))], ignored


def _is_page(answer: Answer, page_id: str) -> bool:
    return isinstance(answer, dict) and answer.get("id") == page_id


def _is_its_own_trouble(answer: Answer) -> bool:
    """Whether it says nothing of how tokens are heard: it will pass, or this one token is dead."""
    return isinstance(answer, GraphError) and (answer.transient or isinstance(answer, TokenDead))


async def _alone(reader: GraphReader, read: Read) -> Answer:
    try:
        return await reader.get(read)
    except GraphError as error:
        return error


def _goes_on(answer: Answer) -> bool:
    """Whether there is more to ask about this asset."""
    return isinstance(answer, GraphError) or bool((answer.get("paging") or {}).get("next"))


async def page_readers(
    graph: GraphClient,
    reader: GraphReader,
    wanted: set[str],
    first: Answer | None = None,
) -> dict[str, GraphReader]:
    """A reader with its own token for each wanted Page that gives a usable one."""
    readers: dict[str, GraphReader] = {}
    try:
        async for page in reader.pages(edges.my_accounts(), first):
            for row in page.rows:
                if row.get("id") in wanted and row.get("access_token"):
                    readers |= _page_reader(graph, reader, row)
    except REFUSALS:
        return readers
    return readers


def _page_reader(
    graph: GraphClient, reader: GraphReader, row: Mapping[str, Any]
) -> dict[str, GraphReader]:
    """By the Page's id; a Page token is of the app of the token that it was asked with."""
    try:
        own = graph.reader(str(row["access_token"]), app_id=reader.meter.app_id)
    except TokenDead:
        # No token at all, and no word about the one that we have.
        return {}
    return {str(row["id"]): own}


async def _to_the_end(
    reader: GraphReader, read: Read, answer: Answer
) -> tuple[list[dict[str, Any]], int | None]:
    """All rows, and how many Meta counts."""
    rows: list[dict[str, Any]] = []
    total, run = None, 1
    async for page in reader.pages(read, answer):
        if page.run != run:
            rows, run = [], page.run
        rows.extend(page.rows)
        total = page.total_count if page.total_count is not None else total
    return rows, total


def _access(
    asset: AssetToRead, rows: Sequence[dict[str, Any]], total: int | None, business_id: str
) -> AccessRead:
    seen = {str(row["id"]) for row in rows if row.get("id")}
    ours = [row for row in rows if row.get("id") and _business_of(row) in {None, business_id}]
    # An empty list without a count proves nothing: Meta shortens silently (DOMAIN, failure 2).
    is_short = len(seen) < total if total is not None else not rows
    is_nameless = any(not row.get("id") for row in rows)
    return AccessRead(asset, ours, is_short=is_short or is_nameless)


def _business_of(row: Mapping[str, Any]) -> str | None:
    """Whose person it is; None where the row does not say so."""
    business = row.get("business")
    return business.get("id") if isinstance(business, dict) else None
