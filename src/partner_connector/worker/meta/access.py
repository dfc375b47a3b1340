"""Who of a business is assigned to each asset, as Meta tells it. Nothing is written here."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from partner_connector.graph import (
    MAX_READS,
    REFUSALS,
    Answer,
    BatchRead,
    Blocked,
    CursorExpired,
    EdgeWalk,
    FirstPage,
    GraphClient,
    GraphError,
    GraphReader,
    InvalidRequest,
    Page,
    Read,
    TokenDead,
    TooMuchData,
    UnknownGraphError,
    answer_to,
    edges,
    page_from,
)
from partner_connector.worker.meta.concurrency import as_they_come
from partner_connector.worker.meta.shared_assets import (
    AssetToRead,
    SharedAssets,
    business_of,
)

# A Page token dies by itself when its admin loses the Page; the partner's own may live.
PAGE_REFUSALS = (*REFUSALS, TokenDead, Blocked, UnknownGraphError)

# Some megabytes, whatever the size of the partner.
_ROWS_AT_A_TIME = 6_000
_GROUPS_AT_ONCE = 2


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


def access_told_by(shared: SharedAssets, business_id: str) -> list[AccessRead]:
    """Return the assets whose own rows told all of who is assigned to them.

    The others have to be asked: Meta leaves out an expanded edge without rows, and also one that
    it refuses (8.2 [O]).
    """
    return [
        read
        for asset in shared.assets
        if (nested := shared.people.get((asset.type, asset.meta_id))) is not None
        and (read := access_from_row(asset, nested, business_id)) is not None
    ]


def access_from_row(
    asset: AssetToRead, nested: Mapping[str, Any], business_id: str
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
    read = access_of(asset, page.rows, page.total_count, business_id)
    return read if read.is_complete else None


def _is_of(row: Mapping[str, Any], business_id: str) -> bool:
    return bool(row.get("id")) and business_of(row) == business_id


@dataclass(slots=True)
class _OpenList:
    """The list of one asset's people, page by page."""

    asset: AssetToRead
    read: Read
    # A Page's own reader, where it gave a token.
    own: GraphReader | None
    walk: EdgeWalk
    rows: list[dict[str, Any]] = field(default_factory=list)
    total: int | None = None
    shared: dict[Any, Any] = field(default_factory=dict)

    @property
    def refusals(self) -> tuple[type[GraphError], ...]:
        return REFUSALS if self.own is None else PAGE_REFUSALS

    def next_page(self) -> BatchRead[None]:
        """Return the read of the next page, which leaves its answer here."""
        return BatchRead(self.walk.place, self._hear, self.own)

    def _hear(self, answer: Answer) -> None:
        self.walk.answer = answer

    def take(self, page: Page) -> None:
        self.rows.extend(map(self._light, page.rows))
        self.total = page.total_count if page.total_count is not None else self.total
        self.walk.go_on(page)

    def _light(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Of a long list there are many rows in memory, and most of each is as in all others.

        A copy: what is taken out of the row itself leaves holes in memory that stay open.
        """
        told, user_type = row.get("tasks"), str(row.get("user_type") or "")
        tasks = tuple(map(str, told)) if isinstance(told, list) else ()
        light = {
            "id": row.get("id"),
            "name": row.get("name"),
            "user_type": self.shared.setdefault(user_type, user_type),
            "tasks": self.shared.setdefault(tasks, tasks),
        }
        business = business_of(row)
        if business not in {None, self.read.params["business"]}:
            light["business"] = {"id": business}
        return light

    @property
    def expected(self) -> int:
        """Rows that it will have in memory in the end, as far as Meta counts them."""
        return max(self.total or 0, len(self.rows))


async def read_access(
    reader: GraphReader,
    assets: Sequence[AssetToRead],
    business_id: str,
    page_readers: Mapping[str, GraphReader],
    *,
    own_tokens_in_batch: bool = True,
    also: Sequence[BatchRead[None]] = (),
) -> AsyncIterator[AccessBatch]:
    """Read all people on these assets: one batch for the first pages, then some lists at a time to
    their end, each round one batch. The reads in `also` ride along with the first one.

    A Page is asked with its own token (REFERENCE 3.2 [D]), in the batch where Meta hears those of
    single reads. One that gives no token is asked with the one we have; Meta may accept it. What
    was read is kept when some of the assets meet a limit or trouble at Meta's end: they are in no
    batch's `reads`, and the first such error is a `trouble`.
    """
    lists = []
    for asset in assets:
        read = edges.assigned_users(asset.path, business_id)
        own = page_readers.get(asset.meta_id) if asset.type == "page" else None
        lists.append(_OpenList(asset, read, own, EdgeWalk(read)))
    heard, batch = await _ask_first(reader, lists, own_tokens_in_batch, also)
    await _take(reader, lists, batch, business_id)
    trouble = batch.trouble
    yield batch
    del batch
    if trouble is None:
        groups = _that_fit_in_memory([one for one in lists if not one.walk.is_over])
        to_their_ends = (_to_their_ends(reader, some, heard, business_id) for some in groups)
        async for read_to_the_end in as_they_come(to_their_ends, _GROUPS_AT_ONCE):
            yield read_to_the_end


def _that_fit_in_memory(lists: list[_OpenList]) -> Iterator[list[_OpenList]]:
    """Lists that are short enough together, the shortest first; a long one goes by itself."""
    group: list[_OpenList] = []
    for one in sorted(lists, key=lambda one: one.expected):
        rows = sum(other.expected for other in group) + one.expected
        if group and (rows > _ROWS_AT_A_TIME or len(group) == MAX_READS):
            yield group
            group = []
        group.append(one)
    if group:
        yield group


async def _to_their_ends(
    reader: GraphReader, lists: list[_OpenList], heard: bool, business_id: str
) -> AccessBatch:
    """Each round one batch with the next page of every list."""
    batch = AccessBatch()
    while lists and batch.trouble is None:
        await _ask_next(reader, lists, heard)
        await _take(reader, lists, batch, business_id)
        lists = [one for one in lists if not one.walk.is_over]
    return batch


async def _take(
    reader: GraphReader, lists: Sequence[_OpenList], batch: AccessBatch, business_id: str
) -> None:
    """Take the next page of each list; with its last one, or its refusal, a list is done."""
    for one in lists:
        try:
            await _take_page(reader, one)
        except one.refusals as error:
            one.walk.is_over = True
            batch.reads.append(AccessRead(one.asset, refusal=error))
        except TokenDead:
            raise
        except GraphError as error:
            one.walk.is_over = True
            batch.trouble = batch.trouble or error
        else:
            if one.walk.is_over:
                batch.reads.append(access_of(one.asset, one.rows, one.total, business_id))
                # Those who look through the lists need to know only that this one is done.
                one.rows = []


async def _take_page(reader: GraphReader, one: _OpenList) -> None:
    answer = one.walk.answer
    if isinstance(answer, GraphError):
        await _ask_again(one.own or reader, one, answer)
    elif answer is not None:
        one.take(page_from(answer))


async def _ask_again(reader: GraphReader, one: _OpenList, error: GraphError) -> None:
    """A page that a batch did not bring. Raises the error where asking otherwise cannot help."""
    too_great = isinstance(error, (InvalidRequest, TooMuchData))
    if too_great and one.walk.place.limit != one.read.limit:
        # The greatest page of an edge is not published (7 [D]): on with small ones.
        one.read = replace(one.read, later_limit=None)
        one.walk.use_first_size()
        return
    is_first = one.walk.place == one.read
    if not is_first and not isinstance(error, (CursorExpired, TooMuchData)):
        raise error
    # From page one, by itself: there the reader has more ways to go on.
    edge = FirstPage(one.read, error) if is_first else one.read
    one.rows, one.total = await reader.counted_rows(edge)
    one.walk.is_over = True


async def _ask_next(
    reader: GraphReader,
    lists: Sequence[_OpenList],
    heard: bool,
    also: Sequence[BatchRead[None]] = (),
) -> None:
    """Ask for the next page of each list, of a Page by itself where Meta hears no other token."""
    in_batch = [one.next_page() for one in lists if heard or one.own is None]
    await reader.batch([*in_batch, *also])
    if not heard:
        await _ask_alone(lists)


async def _ask_alone(lists: Sequence[_OpenList]) -> None:
    for one in lists:
        if one.own is not None:
            one.walk.answer = await _outcome(one.own, one.walk.place)


async def _outcome(reader: GraphReader, read: Read) -> Answer:
    try:
        return await reader.get(read)
    except GraphError as error:
        return error


async def _ask_first(
    reader: GraphReader,
    lists: Sequence[_OpenList],
    own_tokens_in_batch: bool,
    also: Sequence[BatchRead[None]],
) -> tuple[bool, AccessBatch]:
    """Ask for the first page of each list. Returns whether Meta hears tokens inside a batch.

    A Page's list as another token sees it could be shorter without a word, and nothing in it tells
    whose token was heard (8.1 [?]). So one Page's token also asks who it is, in the same batch:
    only where that is the Page, what came of Page tokens counts; else each Page is asked alone.
    """
    pages = [one for one in lists if one.own is not None]
    if not pages or not own_tokens_in_batch:
        await _ask_next(reader, lists, False, also)
        return False, AccessBatch()
    in_batch = [one.next_page() for one in lists]
    who = answer_to(edges.me(), pages[0].own)
    # What rides along comes last: of more than fifty reads, those behind go in another batch.
    values = await reader.batch([*in_batch, who, *also])
    told = values[len(in_batch)]
    if isinstance(told, dict) and told.get("id") == pages[0].asset.meta_id:
        return True, AccessBatch()
    await _ask_alone(pages)
    would_go_alone = any(isinstance(page.walk.answer, dict) for page in pages)
    ignored = would_go_alone and not _is_its_own_trouble(told)
    return False, AccessBatch(own_tokens_ignored=ignored)


def _is_its_own_trouble(answer: object) -> bool:
    """Whether it says nothing of how tokens are heard: it will pass, or this one token is dead."""
    return isinstance(answer, GraphError) and (answer.transient or isinstance(answer, TokenDead))


async def page_readers(
    graph: GraphClient, reader: GraphReader, wanted: set[str], first: FirstPage | None = None
) -> dict[str, GraphReader]:
    """Return a reader with its own token for each wanted Page that gives a usable one.

    By the id of the Page. A Page token is of the app of the token that it was asked with.
    """
    readers: dict[str, GraphReader] = {}
    with suppress(*REFUSALS):
        async for page in reader.pages(first or edges.my_accounts()):
            for row in page.rows:
                if row.get("id") not in wanted or not row.get("access_token"):
                    continue
                # No token at all is no word about the one that we have.
                with suppress(TokenDead):
                    own = graph.reader(str(row["access_token"]), app_id=reader.meter.app_id)
                    readers[str(row["id"])] = own
    return readers


def access_of(
    asset: AssetToRead, rows: Sequence[dict[str, Any]], total: int | None, business_id: str
) -> AccessRead:
    """Who of this business is in a list that came to its end, and whether it is all of them."""
    seen = {str(row["id"]) for row in rows if row.get("id")}
    ours = [row for row in rows if row.get("id") and business_of(row) in {None, business_id}]
    # An empty list without a count proves nothing: Meta shortens silently (DOMAIN, failure 2).
    is_short = len(seen) < total if total is not None else not rows
    is_nameless = any(not row.get("id") for row in rows)
    return AccessRead(asset, ours, is_short=is_short or is_nameless)
