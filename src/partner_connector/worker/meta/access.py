"""Reads of the users assigned to each asset, without writes.

Marks like `#paging` are headings of `docs/reference/graph-facts.md`.
"""

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
    EdgePager,
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
from partner_connector.worker.meta.concurrency import iterate_completed
from partner_connector.worker.meta.shared_assets import (
    AssetToRead,
    SharedAssets,
    business_of,
)

# A Page token dies when its admin loses the Page; the partner's token may still work.
PAGE_REFUSALS = (*REFUSALS, TokenDead, Blocked, UnknownGraphError)

# Limits memory to some megabytes, whatever the size of the partner.
_MAX_ROWS_IN_MEMORY = 6_000
_CONCURRENT_GROUPS = 2


@dataclass(slots=True)
class AccessRead:
    """Result of reading one asset's users."""

    asset: AssetToRead
    rows: list[dict[str, Any]] = field(default_factory=list)
    refusal: GraphError | None = None
    # The list ended, but Meta counts more rows, or returned neither rows nor a count.
    is_short: bool = False

    @property
    def is_complete(self) -> bool:
        """True if a user who is not among the rows has no access."""
        return self.refusal is None and not self.is_short


@dataclass(slots=True)
class AccessBatch:
    """Result of one batch: the assets read to their end, and the first error of the others."""

    reads: list[AccessRead] = field(default_factory=list)
    error: GraphError | None = None
    # Meta ignored the Page tokens of single reads in a batch.
    page_tokens_ignored: bool = False


def complete_nested_access(shared: SharedAssets, business_id: str) -> list[AccessRead]:
    """Return the assets whose rows hold the complete list of their users.

    The other assets need a separate read: Meta leaves out an expanded edge that has no rows, and
    also an expanded edge that it refuses (`#field-expansion`).
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
    """Return the users nested in an asset's row; None if the asset needs a separate read.

    Meta does not document that `.business()` filters an expansion (`#open-business-expansion`). A
    row that does not name this business may belong to another, so then the whole list is ignored.
    """
    try:
        page = page_from(nested)
    except UnknownGraphError:
        return None
    if page.next_cursor is not None or not all(_belongs_to(row, business_id) for row in page.rows):
        return None
    read = access_of(asset, page.rows, page.total_count, business_id)
    return read if read.is_complete else None


def _belongs_to(row: Mapping[str, Any], business_id: str) -> bool:
    return bool(row.get("id")) and business_of(row) == business_id


@dataclass(slots=True)
class _UserList:
    """Partly read list of one asset's users."""

    asset: AssetToRead
    read: Read
    # Reader with the Page's own token, if Meta returned such a token.
    page_reader: GraphReader | None
    pager: EdgePager
    rows: list[dict[str, Any]] = field(default_factory=list)
    total: int | None = None
    shared: dict[Any, Any] = field(default_factory=dict)

    @property
    def refusals(self) -> tuple[type[GraphError], ...]:
        return REFUSALS if self.page_reader is None else PAGE_REFUSALS

    def next_page(self) -> BatchRead[None]:
        """Return the read of the next page. Its answer goes to this list's `pager`."""
        return BatchRead(self.pager.next_read, self._receive, self.page_reader)

    def _receive(self, answer: Answer) -> None:
        self.pager.answer = answer

    def take(self, page: Page) -> None:
        self.rows.extend(map(self._compact, page.rows))
        self.total = page.total_count if page.total_count is not None else self.total
        self.pager.advance(page)

    def _compact(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return a copy of a row with only the needed fields; equal values share one object.

        Long lists keep many rows in memory. A copy, because deleting fields from the row itself
        would fragment the memory.
        """
        raw_tasks, user_type = row.get("tasks"), str(row.get("user_type") or "")
        tasks = tuple(map(str, raw_tasks)) if isinstance(raw_tasks, list) else ()
        compact = {
            "id": row.get("id"),
            "name": row.get("name"),
            "user_type": self.shared.setdefault(user_type, user_type),
            "tasks": self.shared.setdefault(tasks, tasks),
        }
        business = business_of(row)
        if business not in {None, self.read.params["business"]}:
            compact["business"] = {"id": business}
        return compact

    @property
    def expected(self) -> int:
        """Number of rows of the complete list, as far as Meta's count is known."""
        return max(self.total or 0, len(self.rows))


async def read_access(
    reader: GraphReader,
    assets: Sequence[AssetToRead],
    business_id: str,
    page_readers: Mapping[str, GraphReader],
    *,
    page_tokens_in_batch: bool = True,
    extra_reads: Sequence[BatchRead[None]] = (),
) -> AsyncIterator[AccessBatch]:
    """Yield batches with all users of these assets.

    The first batch reads page one of each list, and the `extra_reads`. Later batches read groups of
    lists to their end, with one Graph batch for each round of pages. A Page is read with its own
    token (`#assigned-users`), inside the batch if Meta accepts tokens of single reads. A Page
    without a token is read with the reader's token, which Meta may accept. An asset that a limit or
    an error at Meta stops is in no batch's `reads`; the first such error is in the batch's `error`.
    """
    lists = []
    for asset in assets:
        read = edges.assigned_users(asset.path, business_id)
        page_reader = page_readers.get(asset.meta_id) if asset.type == "page" else None
        lists.append(_UserList(asset, read, page_reader, EdgePager(read)))
    page_tokens_work, batch = await _read_first_pages(
        reader, lists, page_tokens_in_batch, extra_reads
    )
    await _add_pages(reader, lists, batch, business_id)
    error = batch.error
    yield batch
    del batch
    if error is None:
        groups = _groups_that_fit_in_memory([users for users in lists if not users.pager.is_over])
        full_reads = (
            _read_to_end(reader, group, page_tokens_work, business_id) for group in groups
        )
        async for batch_of_group in iterate_completed(full_reads, _CONCURRENT_GROUPS):
            yield batch_of_group


def _groups_that_fit_in_memory(lists: list[_UserList]) -> Iterator[list[_UserList]]:
    """Yield groups of lists that fit in memory, the shortest first; a long list goes alone."""
    group: list[_UserList] = []
    for users in sorted(lists, key=lambda users: users.expected):
        rows = sum(other.expected for other in group) + users.expected
        if group and (rows > _MAX_ROWS_IN_MEMORY or len(group) == MAX_READS):
            yield group
            group = []
        group.append(users)
    if group:
        yield group


async def _read_to_end(
    reader: GraphReader, lists: list[_UserList], page_tokens_work: bool, business_id: str
) -> AccessBatch:
    """Read lists to their end, with one batch for the next page of every list."""
    batch = AccessBatch()
    while lists and batch.error is None:
        await _read_next_pages(reader, lists, page_tokens_work)
        await _add_pages(reader, lists, batch, business_id)
        lists = [users for users in lists if not users.pager.is_over]
    return batch


async def _add_pages(
    reader: GraphReader, lists: Sequence[_UserList], batch: AccessBatch, business_id: str
) -> None:
    """Add the next page to each list. The last page or a refusal ends a list."""
    for users in lists:
        try:
            await _add_page(reader, users)
        except users.refusals as error:
            users.pager.is_over = True
            batch.reads.append(AccessRead(users.asset, refusal=error))
        except TokenDead:
            raise
        except GraphError as error:
            users.pager.is_over = True
            batch.error = batch.error or error
        else:
            if users.pager.is_over:
                batch.reads.append(access_of(users.asset, users.rows, users.total, business_id))
                # Free the memory: later readers of `lists` need only `is_over`.
                users.rows = []


async def _add_page(reader: GraphReader, users: _UserList) -> None:
    answer = users.pager.answer
    if isinstance(answer, GraphError):
        await _retry_page(users.page_reader or reader, users, answer)
    elif answer is not None:
        users.take(page_from(answer))


async def _retry_page(reader: GraphReader, users: _UserList, error: GraphError) -> None:
    """Read a page again in another way after it failed in a batch.

    Raises the error if no other way can help.
    """
    page_too_large = isinstance(error, (InvalidRequest, TooMuchData))
    if page_too_large and users.pager.next_read.limit != users.read.limit:
        # Meta does not publish the largest page size of an edge (`#paging`): use the first size.
        users.read = replace(users.read, later_limit=None)
        users.pager.use_first_size()
        return
    is_first = users.pager.next_read == users.read
    if not is_first and not isinstance(error, (CursorExpired, TooMuchData)):
        raise error
    # Restart at page one with a single read: for it, the reader has more fallbacks.
    edge = FirstPage(users.read, error) if is_first else users.read
    users.rows, users.total = await reader.counted_rows(edge)
    users.pager.is_over = True


async def _read_next_pages(
    reader: GraphReader,
    lists: Sequence[_UserList],
    page_tokens_work: bool,
    extra_reads: Sequence[BatchRead[None]] = (),
) -> None:
    """Read the next page of each list in a batch.

    A Page that has its own token is read alone, unless Meta accepts tokens of single reads in a
    batch.
    """
    in_batch = [
        users.next_page() for users in lists if page_tokens_work or users.page_reader is None
    ]
    await reader.batch([*in_batch, *extra_reads])
    if not page_tokens_work:
        await _read_page_lists_alone(lists)


async def _read_page_lists_alone(lists: Sequence[_UserList]) -> None:
    for users in lists:
        if users.page_reader is not None:
            users.pager.answer = await _answer_or_error(users.page_reader, users.pager.next_read)


async def _answer_or_error(reader: GraphReader, read: Read) -> Answer:
    try:
        return await reader.get(read)
    except GraphError as error:
        return error


async def _read_first_pages(
    reader: GraphReader,
    lists: Sequence[_UserList],
    page_tokens_in_batch: bool,
    extra_reads: Sequence[BatchRead[None]],
) -> tuple[bool, AccessBatch]:
    """Read the first page of each list. Return True if Meta accepts tokens inside a batch.

    With another token, Meta may return a shorter list of a Page's users without an error, and the
    list does not show which token Meta used (`#batches`). So one read of the batch asks for `me`
    with a Page's token. If the answer is that Page, the lists of Pages are valid. If not, each Page
    is read again alone.
    """
    pages = [users for users in lists if users.page_reader is not None]
    if not pages or not page_tokens_in_batch:
        await _read_next_pages(reader, lists, False, extra_reads)
        return False, AccessBatch()
    in_batch = [users.next_page() for users in lists]
    me_read = answer_to(edges.me(), pages[0].page_reader)
    # The extra reads come last: reads after the fiftieth go in another batch.
    values = await reader.batch([*in_batch, me_read, *extra_reads])
    identity = values[len(in_batch)]
    if isinstance(identity, dict) and identity.get("id") == pages[0].asset.meta_id:
        return True, AccessBatch()
    await _read_page_lists_alone(pages)
    works_alone = any(isinstance(page.pager.answer, dict) for page in pages)
    ignored = works_alone and not _is_unrelated_error(identity)
    return False, AccessBatch(page_tokens_ignored=ignored)


def _is_unrelated_error(answer: object) -> bool:
    """Return True for an error that does not show if Meta accepts tokens inside a batch."""
    return isinstance(answer, GraphError) and (answer.transient or isinstance(answer, TokenDead))


async def page_readers(
    graph: GraphClient, reader: GraphReader, wanted: set[str], first: FirstPage | None = None
) -> dict[str, GraphReader]:
    """Return, by Page id, a reader with the Page's own token for each wanted Page that has one.

    Pages for which Meta returns no usable token are left out; if Meta refuses the list, so are all
    that it has not returned yet. A Page token belongs to the app of the token that read it.
    """
    readers: dict[str, GraphReader] = {}
    with suppress(*REFUSALS):
        async for page in reader.pages(first or edges.my_accounts()):
            for row in page.rows:
                if row.get("id") not in wanted or not row.get("access_token"):
                    continue
                # An unusable Page token does not make the reader's token invalid.
                with suppress(TokenDead):
                    page_reader = graph.reader(str(row["access_token"]), app_id=reader.meter.app_id)
                    readers[str(row["id"])] = page_reader
    return readers


def access_of(
    asset: AssetToRead, rows: Sequence[dict[str, Any]], total: int | None, business_id: str
) -> AccessRead:
    """Return the result for one asset: this business's users in a list that was read to its end."""
    seen = {str(row["id"]) for row in rows if row.get("id")}
    users = [row for row in rows if row.get("id") and business_of(row) in {None, business_id}]
    # An empty list without a count may be incomplete: Meta shortens silently (`#short-lists`).
    is_short = len(seen) < total if total is not None else not rows
    is_nameless = any(not row.get("id") for row in rows)
    return AccessRead(asset, users, is_short=is_short or is_nameless)
