"""Reads with one token: a single read, all pages of an edge, or a batch of reads."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Generic, TypeVar

import httpx

from partner_connector.graph.batch import (
    MAX_READS,
    batch_form,
    item_headers,
    item_outcome,
    items_of,
)
from partner_connector.graph.credentials import BatchCredentials, Credentials
from partner_connector.graph.errors import (
    CursorExpired,
    GraphError,
    InvalidRequest,
    RetryRule,
    Throttled,
    TooMuchData,
    UnknownGraphError,
)
from partner_connector.graph.reads import Page, Read, page_from
from partner_connector.graph.redact import HIDDEN
from partner_connector.graph.retry import retry_delay
from partner_connector.graph.sender import Meter, RequestSender
from partner_connector.graph.usage import parse_usage

_META_PAGE_SIZE = 25  # Meta's default: docs/reference/graph-facts.md#paging
_GOOD_PAGES_BEFORE_GROWING = 4

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Answer = dict[str, Any] | GraphError


class GraphReader:
    """Reads with one token. Every method raises a `GraphError` when the read fails."""

    def __init__(self, sender: RequestSender, credentials: Credentials, meter: Meter) -> None:
        self._sender = sender
        self.credentials = credentials
        self.meter = meter

    async def get(self, read: Read) -> dict[str, Any]:
        """Return the answer to one read as Meta sent it, without the links in `paging`."""
        request = self._sender.get_request(read.path, read.query())
        answer = await self._sender.exchange(
            request, self.credentials, self.meter, label=read.edge, subject=read.subject
        )
        if not isinstance(answer.content, dict):
            raise UnknownGraphError("Meta answered the read with a list")
        return answer.content

    async def pages(self, edge: "Read | FirstPage") -> AsyncIterator[Page]:
        """Yield all pages of an edge. The next page is requested after the caller's loop body.

        A first page from a batch that is too large or has an expired cursor is requested again
        alone. When a cursor expires later, the edge is read once more from page one: those pages
        have `run == 2`, and the caller drops the rows of run 1. When an answer is too large, the
        page size is halved; it grows again after some good pages. When Meta refuses later pages
        that are larger than the first one, the size of the first page is used.
        """
        pager = EdgePager(edge)
        while not pager.is_over:
            try:
                page = await self._read_page(pager.next_read, pager.answer)
            except CursorExpired as error:
                pager.restart(error)
            except (TooMuchData, InvalidRequest) as error:
                pager.shrink(error)
            else:
                yield replace(page, run=pager.run)
                pager.advance(page)

    async def _read_page(self, read: Read, answer: Answer | None) -> Page:
        if isinstance(answer, GraphError):
            raise answer
        return page_from(await self.get(read) if answer is None else answer)

    async def rows(self, edge: "Read | FirstPage") -> list[dict[str, Any]]:
        """Return all rows of an edge at once; for edges known to be small."""
        rows, _ = await self.counted_rows(edge)
        return rows

    async def counted_rows(
        self, edge: "Read | FirstPage"
    ) -> tuple[list[dict[str, Any]], int | None]:
        """Return all rows of an edge and Meta's total count, None where Meta gave none."""
        rows: list[dict[str, Any]] = []
        total, run = None, 1
        async for page in self.pages(edge):
            if page.run != run:
                rows, run = [], page.run
            rows.extend(page.rows)
            total = page.total_count if page.total_count is not None else total
        return rows, total

    async def batch(self, reads: "Sequence[BatchRead[T]]") -> list[T]:
        """Return the values of many reads, in their order, each made from an answer or an error.

        Each batch holds up to 50 reads. A failure of the whole first batch is raised. A failure of
        a later batch, or of a retry, becomes the error of each read in it, so that the answers
        received before are kept.
        """
        answers: list[Answer] = []
        for start in range(0, len(reads), MAX_READS):
            chunk = reads[start : start + MAX_READS]
            try:
                answers += await self._batch(chunk)
            except GraphError as error:
                if start == 0:
                    raise
                answers += [error] * len(chunk)
        return [entry.value_of(answer) for entry, answer in zip(reads, answers, strict=True)]

    async def _batch(self, reads: "Sequence[BatchRead[object]]") -> list[Answer]:
        """Send one batch, and retry the reads in it that failed and may succeed soon.

        A read of an object whose budget is used up is not sent; the other reads are.
        """
        answers: dict[int, Answer] = {
            index: refusal
            for index, entry in enumerate(reads)
            if (refusal := self._sender.refusal_of(entry.read.subject, self.meter)) is not None
        }
        pending = [index for index in range(len(reads)) if index not in answers]
        attempt = 0
        while pending:
            attempt += 1
            received = await self._attempt([reads[index] for index in pending], attempt)
            answers.update(zip(pending, received, strict=True))
            delays = {
                index: delay
                for index, answer in zip(pending, received, strict=True)
                if isinstance(answer, GraphError)
                and (delay := retry_delay(answer, attempt)) is not None
            }
            pending = list(delays)
            if pending:
                await self._sender.wait(max(delays.values()))
        return [answers[index] for index in range(len(reads))]

    async def _attempt(self, reads: "Sequence[BatchRead[object]]", attempt: int) -> list[Answer]:
        try:
            return await self._send_batch(reads)
        except GraphError as error:
            if attempt == 1:
                raise
            # A failed retry must not discard the answers of the first attempt.
            return [error] * len(reads)

    async def _send_batch(self, reads: "Sequence[BatchRead[object]]") -> list[Answer]:
        others = [entry.signed_by.credentials if entry.signed_by else None for entry in reads]
        signer = BatchCredentials(self.credentials, others)
        request = self._sender.batch_request(batch_form([entry.read for entry in reads]))
        try:
            answer = await self._sender.exchange(
                request, signer, self.meter, label="batch", weight=len(reads)
            )
        except GraphError as error:
            if error.retry is not RetryRule.SHRINK or len(reads) == 1:
                raise
        else:
            items = items_of(answer.content, len(reads))
            return [
                self._outcome(entry, item, answer.headers, signer)
                for entry, item in zip(reads, items, strict=True)
            ]
        # The batch was too large (code 960, or code 1 with "reduce the amount"): halve it.
        middle = len(reads) // 2
        return [*await self._send_batch(reads[:middle]), *await self._send_batch(reads[middle:])]

    def _outcome(
        self, entry: "BatchRead[object]", item: Any, outer: httpx.Headers, signer: BatchCredentials
    ) -> Answer:
        """Return the outcome of one item; record its usage for the token that signed the read."""
        meter, subject = (entry.signed_by or self).meter, entry.read.subject
        if usages := parse_usage(item_headers(item)):
            self._sender.record_usage(usages, meter, subject)
        outcome = item_outcome(item, outer, secrets=signer.secrets())
        if isinstance(outcome, Throttled):
            self._sender.record_throttled(outcome, meter, subject)
        return outcome

    def __repr__(self) -> str:
        return f"GraphReader(token={HIDDEN})"


@dataclass(frozen=True, slots=True)
class BatchRead(Generic[T_co]):
    """A read of a batch, and the function that converts its answer to a value."""

    read: Read
    value_of: Callable[[Answer], T_co]
    # The reader whose token signs the read; None: the batch's reader.
    signed_by: GraphReader | None = None


def answer_to(read: Read, signed_by: GraphReader | None = None) -> BatchRead[Answer]:
    """Return a batch read whose value is the answer itself."""
    return BatchRead(read, lambda answer: answer, signed_by)


@dataclass(frozen=True, slots=True)
class FirstPage:
    """Page one of an edge from a batch, or the error of that read."""

    read: Read
    answer: Answer


def first_page(read: Read) -> BatchRead[FirstPage]:
    """Return a batch read of page one; pass its value to `GraphReader.pages` for all pages."""
    return BatchRead(read, partial(FirstPage, read))


class EdgePager:
    """Position in the pages of an edge, and the size of the next page."""

    def __init__(self, edge: Read | FirstPage) -> None:
        read = edge if isinstance(edge, Read) else edge.read
        self.next_read = read
        # The answer to `next_read`, if a batch has already received it.
        self.answer = None if isinstance(edge, Read) else edge.answer
        self.run = 1
        self.is_over = False
        self._first_size = read.limit  # None: Meta's default
        self._max_size = read.later_limit or read.limit
        self._good_pages = 0
        self._seen_cursors: set[str] = set()

    def advance(self, page: Page) -> None:
        """Move on to the next page, if there is one.

        Raise `UnknownGraphError` for a cursor that was used before.
        """
        self.answer = None
        self.is_over = page.next_cursor is None
        if page.next_cursor is None:
            return
        if page.next_cursor in self._seen_cursors:
            raise UnknownGraphError("Meta returned a paging cursor for the second time")
        self._seen_cursors.add(page.next_cursor)
        self.next_read = self.next_read.after(page.next_cursor)
        self._grow()

    def restart(self, error: CursorExpired) -> None:
        """Restart from page one after an expired cursor. A second restart raises the error."""
        if self.run > 1:
            raise error
        self.next_read, self.run, self.answer = self.next_read.from_start(), 2, None
        self._seen_cursors.clear()

    def shrink(self, error: TooMuchData | InvalidRequest) -> None:
        """Reduce the page size after a page that was too large.

        Raise the error if the page had one row, or was refused with the size of the first page.
        """
        size = self.next_read.limit
        if isinstance(error, InvalidRequest):
            # Meta publishes no maximum: it reduces or refuses larger pages (#paging).
            if self._first_size in {size, self._max_size}:
                raise error
            self.use_first_size()
            return
        if size == 1:
            raise error
        self.next_read, self.answer = (
            self.next_read.with_limit((size or _META_PAGE_SIZE) // 2),
            None,
        )
        self._good_pages = 1

    def use_first_size(self) -> None:
        """Continue with pages of the first page's size."""
        self._max_size = self._first_size
        self.next_read, self.answer = self.next_read.with_limit(self._first_size), None

    def _grow(self) -> None:
        """Use the maximum size after the first page; after a reduction double it step by step."""
        self._good_pages += 1
        size = self.next_read.limit
        if size == self._first_size and self._good_pages == 1:
            self.next_read = self.next_read.with_limit(self._max_size)
        elif self._good_pages > _GOOD_PAGES_BEFORE_GROWING and size is not None:
            self.next_read = self.next_read.with_limit(
                min(size * 2, self._max_size or _META_PAGE_SIZE)
            )
            self._good_pages = 1
