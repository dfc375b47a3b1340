"""Who of a business is assigned to each asset, as Meta tells it. Nothing is written here."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from partner_connector.graph import (
    MAX_READS,
    REFUSALS,
    Blocked,
    CursorExpired,
    GraphClient,
    GraphError,
    GraphReader,
    InvalidRequest,
    Page,
    Read,
    TokenDead,
    TooMuchData,
    UnknownGraphError,
    edges,
    page_from,
)
from partner_connector.worker.meta.concurrency import as_they_come
from partner_connector.worker.meta.shared_assets import (
    SharedAsset,
    SharedAssets,
    asset_name,
    asset_path,
)

# A Page token dies by itself when its admin loses the Page; the partner's own may live.
PAGE_REFUSALS = (*REFUSALS, TokenDead, Blocked, UnknownGraphError)

# Some megabytes, whatever the size of the partner.
_ROWS_AT_A_TIME = 6_000
_GROUPS_AT_ONCE = 2

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

    @property
    def key(self) -> str:
        """What it is called where a token's view is compared."""
        return asset_name(self.type, self.meta_id)


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
    # The answers to what else was sent along.
    also: list[Answer] = field(default_factory=list)


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
    shared: SharedAsset | AssetToRead, nested: Mapping[str, Any], business_id: str
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
    read = access_of(asset, page.rows, page.total_count, business_id)
    return read if read.is_complete else None


def _is_of(row: Mapping[str, Any], business_id: str) -> bool:
    return bool(row.get("id")) and _business_of(row) == business_id


@dataclass(slots=True)
class _OpenList:
    """The list of one asset's people, page by page."""

    asset: AssetToRead
    read: Read
    # A Page's own reader, where it gave a token.
    own: GraphReader | None
    place: Read
    rows: list[dict[str, Any]] = field(default_factory=list)
    total: int | None = None
    goes_on: bool = True
    passed: set[str] = field(default_factory=set)
    shared: dict[Any, Any] = field(default_factory=dict)

    @property
    def refusals(self) -> tuple[type[GraphError], ...]:
        return REFUSALS if self.own is None else PAGE_REFUSALS

    def take(self, page: Page) -> None:
        self.rows.extend(map(self._light, page.rows))
        self.total = page.total_count if page.total_count is not None else self.total
        self.goes_on = page.next_cursor is not None
        if page.next_cursor is not None:
            if page.next_cursor in self.passed:
                raise UnknownGraphError("The edge led to a page that was read before")
            self.passed.add(page.next_cursor)
            self.place = self.read.following(page.next_cursor)

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
        business = _business_of(row)
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
    also: Sequence[Read] = (),
) -> AsyncIterator[AccessBatch]:
    """All people on these assets: one batch for the first pages, then some lists at a time to
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
        lists.append(_OpenList(asset, read, own, read))
    answers, heard, batch = await _first_answers(reader, lists, own_tokens_in_batch, also)
    for one, answer in zip(lists, answers, strict=True):
        await _take(reader, one, answer, batch, business_id)
    trouble = batch.trouble
    yield batch
    del batch, answers
    if trouble is None:
        groups = _that_fit_in_memory([one for one in lists if one.goes_on])
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
        for one, answer in zip(lists, await _next_answers(reader, lists, heard), strict=True):
            await _take(reader, one, answer, batch, business_id)
        lists = [one for one in lists if one.goes_on]
    return batch


async def _take(
    reader: GraphReader, one: _OpenList, answer: Answer, batch: AccessBatch, business_id: str
) -> None:
    """Take the next page of one list; with its last one, or its refusal, the list is done."""
    try:
        if isinstance(answer, GraphError):
            await _ask_again(one.own or reader, one, answer)
        else:
            one.take(page_from(answer))
    except one.refusals as error:
        one.goes_on = False
        batch.reads.append(AccessRead(one.asset, refusal=error))
        return
    except TokenDead:
        raise
    except GraphError as error:
        one.goes_on = False
        batch.trouble = batch.trouble or error
        return
    if not one.goes_on:
        batch.reads.append(access_of(one.asset, one.rows, one.total, business_id))
        # Those who look through the lists need to know only that this one is done.
        one.rows = []


async def _ask_again(reader: GraphReader, one: _OpenList, error: GraphError) -> None:
    """A page that a batch did not bring. Raises the error where asking otherwise cannot help."""
    too_great = isinstance(error, (InvalidRequest, TooMuchData))
    if too_great and one.place.limit != one.read.limit:
        # The greatest page of an edge is not published (7 [D]): on with small ones.
        one.read = replace(one.read, later_limit=None)
        one.place = one.place.with_limit(one.read.limit)
        return
    is_first = one.place == one.read
    if not is_first and not isinstance(error, (CursorExpired, TooMuchData)):
        raise error
    # From page one, by itself: there the reader has more ways to go on.
    one.rows, one.total = await to_the_end(reader, one.read, error if is_first else None)
    one.goes_on = False


async def _next_answers(
    reader: GraphReader, lists: Sequence[_OpenList], own_tokens_are_heard: bool
) -> list[Answer]:
    in_batch = [one for one in lists if one.own is None or own_tokens_are_heard]
    own = {place: one.own for place, one in enumerate(in_batch) if one.own is not None}
    brought = await reader.batch([one.place for one in in_batch], own) if in_batch else []
    answers = dict(zip(map(id, in_batch), brought, strict=True))
    for one in lists:
        if id(one) not in answers:
            answers[id(one)] = await _alone(one.own or reader, one.place)
    return [answers[id(one)] for one in lists]


async def _first_answers(
    reader: GraphReader,
    lists: Sequence[_OpenList],
    own_tokens_in_batch: bool,
    also: Sequence[Read],
) -> tuple[list[Answer], bool, AccessBatch]:
    """The first page of each list, whether Meta hears tokens inside a batch, and what else came.

    A Page's list as another token sees it could be shorter without a word, and nothing in it tells
    whose token was heard (8.1 [?]). So one Page's token also asks who it is, in the same batch:
    only where that is the Page, what came of Page tokens counts; else each Page is asked alone.
    """
    pages = {place: one.own for place, one in enumerate(lists) if one.own is not None}
    in_batch = [place for place in range(len(lists)) if own_tokens_in_batch or place not in pages]
    asked = [lists[place].read for place in in_batch]
    own = {at: pages[place] for at, place in enumerate(in_batch) if place in pages}
    who = next(iter(pages), None) if own_tokens_in_batch else None
    if who is not None:
        own[len(asked)] = pages[who]
        asked.append(edges.me())
    # What rides along comes last: of more than fifty reads, those behind go in another batch.
    sent = await reader.batch([*asked, *also], own) if asked or also else []
    brought, rode_along = sent[: len(asked)], sent[len(asked) :]
    answers = dict(zip(in_batch, brought, strict=False))  # but for who it is
    heard = who is not None and _is_page(brought[-1], lists[who].asset.meta_id)
    if heard:
        return [answers[place] for place in range(len(lists))], True, AccessBatch(also=rode_along)
    alone = {place: await _alone(of_page, lists[place].read) for place, of_page in pages.items()}
    answers |= alone
    would_go_alone = any(isinstance(answer, dict) for answer in alone.values())
    ignored = who is not None and would_go_alone and not _is_its_own_trouble(brought[-1])
    batch = AccessBatch(own_tokens_ignored=ignored, also=rode_along)
    return [answers[place] for place in range(len(lists))], False, batch


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


async def to_the_end(
    reader: GraphReader, read: Read, answer: Answer | None
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


def access_of(
    asset: AssetToRead, rows: Sequence[dict[str, Any]], total: int | None, business_id: str
) -> AccessRead:
    """Who of this business is in a list that came to its end, and whether it is all of them."""
    seen = {str(row["id"]) for row in rows if row.get("id")}
    ours = [row for row in rows if row.get("id") and _business_of(row) in {None, business_id}]
    # An empty list without a count proves nothing: Meta shortens silently (DOMAIN, failure 2).
    is_short = len(seen) < total if total is not None else not rows
    is_nameless = any(not row.get("id") for row in rows)
    return AccessRead(asset, ours, is_short=is_short or is_nameless)


def _business_of(row: Mapping[str, Any]) -> str | None:
    """Whose person it is; None where the row does not say so."""
    business = row.get("business")
    told = business.get("id") if isinstance(business, dict) else None
    return None if told is None else str(told)
