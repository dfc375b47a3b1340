"""Reads with one token: one at a time, an edge page by page, or many in a batch."""

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
from partner_connector.graph.retry import decide
from partner_connector.graph.usage import parse_usage
from partner_connector.graph.wire import Meter, Wire

_META_PAGE_SIZE = 25  # what Meta takes when no limit is sent (7 [D])
_GOOD_PAGES_BEFORE_GROWING = 4

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Answer = dict[str, Any] | GraphError


class GraphReader:
    """Reads with one token. Every method raises a `GraphError` when the read fails."""

    def __init__(self, wire: Wire, credentials: Credentials, meter: Meter) -> None:
        self._wire = wire
        self.credentials = credentials
        self.meter = meter

    async def get(self, read: Read) -> dict[str, Any]:
        """The answer to one read as Meta sent it, with the links in `paging` blanked."""
        request = self._wire.get_request(read.path, read.query())
        answer = await self._wire.exchange(
            request, self.credentials, self.meter, label=read.edge, subject=read.subject
        )
        if not isinstance(answer.content, dict):
            raise UnknownGraphError("The read was answered with a list")
        return answer.content

    async def pages(self, edge: "Read | FirstPage") -> AsyncIterator[Page]:
        """Yield all pages of an edge, each asked for when the one before has been dealt with.

        What a batch could not carry of a first page, or a cursor that died, is no reason to give
        up here: the edge is then asked by itself. When the cursor dies under way, the edge is read
        once more from page one: those pages have `run == 2`, and the rows of the first run are to
        be dropped. When Meta finds an answer too big, the page size is halved, and grows back after
        some good pages. Where it refuses pages that are greater than the first one, the others are
        as small.
        """
        walk = EdgeWalk(edge)
        while not walk.is_over:
            try:
                page = await self._page_of(walk.place, walk.answer)
            except CursorExpired as error:
                walk.start_again(error)
            except (TooMuchData, InvalidRequest) as error:
                walk.shrink(error)
            else:
                yield replace(page, run=walk.run)
                walk.go_on(page)

    async def _page_of(self, read: Read, answer: Answer | None) -> Page:
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
        """Return all rows of an edge, and how many Meta counts, None where it gave no count."""
        rows: list[dict[str, Any]] = []
        total, run = None, 1
        async for page in self.pages(edge):
            if page.run != run:
                rows, run = [], page.run
            rows.extend(page.rows)
            total = page.total_count if page.total_count is not None else total
        return rows, total

    async def batch(self, reads: "Sequence[BatchRead[T]]") -> list[T]:
        """Return the values of many reads in their order, each made from an answer or an error.

        Sent 50 at a time. A failure of the first batch as a whole is raised; later ones, and those
        of a repeat for some reads, become the error of each read in it, so that nothing that was
        read is thrown away.
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
        return [one.value_of(answer) for one, answer in zip(reads, answers, strict=True)]

    async def _batch(self, reads: "Sequence[BatchRead[object]]") -> list[Answer]:
        """Send one batch, and again the reads in it that a quick repeat may help.

        A read whose own allowance is used up is left out: the others go on without it.
        """
        answers: dict[int, Answer] = {
            place: refusal
            for place, one in enumerate(reads)
            if (refusal := self._wire.held_back(one.read.subject, self.meter)) is not None
        }
        waiting = [place for place in range(len(reads)) if place not in answers]
        attempt = 0
        while waiting:
            attempt += 1
            brought = await self._attempt([reads[place] for place in waiting], attempt)
            answers.update(zip(waiting, brought, strict=True))
            delays = {
                place: delay
                for place, answer in zip(waiting, brought, strict=True)
                if isinstance(answer, GraphError) and (delay := decide(answer, attempt)) is not None
            }
            waiting = list(delays)
            if waiting:
                await self._wire.wait(max(delays.values()))
        return [answers[place] for place in range(len(reads))]

    async def _attempt(self, reads: "Sequence[BatchRead[object]]", attempt: int) -> list[Answer]:
        try:
            return await self._send_batch(reads)
        except GraphError as error:
            if attempt == 1:
                raise
            # What the first attempt has read is not thrown away because a repeat failed.
            return [error] * len(reads)

    async def _send_batch(self, reads: "Sequence[BatchRead[object]]") -> list[Answer]:
        others = [one.signed_by.credentials if one.signed_by else None for one in reads]
        signer = BatchCredentials(self.credentials, others)
        request = self._wire.batch_request(batch_form([one.read for one in reads]))
        try:
            answer = await self._wire.exchange(
                request, signer, self.meter, label="batch", weight=len(reads)
            )
        except GraphError as error:
            if error.retry is not RetryRule.SHRINK or len(reads) == 1:
                raise
        else:
            items = items_of(answer.content, len(reads))
            return [
                self._outcome(one, item, answer.headers, signer)
                for one, item in zip(reads, items, strict=True)
            ]
        # The whole was too much for Meta (960, or code 1 with "reduce the amount"): halve it.
        middle = len(reads) // 2
        return [*await self._send_batch(reads[:middle]), *await self._send_batch(reads[middle:])]

    def _outcome(
        self, one: "BatchRead[object]", item: Any, outer: httpx.Headers, signer: BatchCredentials
    ) -> Answer:
        """What one item says. A limit that it reports is that of the token it was made with."""
        meter, subject = (one.signed_by or self).meter, one.read.subject
        if usages := parse_usage(item_headers(item)):
            self._wire.observe(usages, meter, subject)
        outcome = item_outcome(item, outer, secrets=signer.secrets())
        if isinstance(outcome, Throttled):
            self._wire.note_throttled(outcome, meter, subject)
        return outcome

    def __repr__(self) -> str:
        return f"GraphReader(token={HIDDEN})"


@dataclass(frozen=True, slots=True)
class BatchRead(Generic[T_co]):
    """One read of a batch, and the function that turns its answer into a value."""

    read: Read
    value_of: Callable[[Answer], T_co]
    # Whose token the read is made with, where that is not the batch's.
    signed_by: GraphReader | None = None


def answer_to(read: Read, signed_by: GraphReader | None = None) -> BatchRead[Answer]:
    """Return a read of a batch whose value is the answer itself."""
    return BatchRead(read, lambda answer: answer, signed_by)


@dataclass(frozen=True, slots=True)
class FirstPage:
    """Page one of an edge as a batch brought it, or the error in its place."""

    read: Read
    answer: Answer


def first_page(read: Read) -> BatchRead[FirstPage]:
    """Return a read of a batch whose value `GraphReader.pages` takes to go on from."""
    return BatchRead(read, partial(FirstPage, read))


class EdgeWalk:
    """How far the pages of an edge are read, and how many rows the next one is asked for."""

    def __init__(self, edge: Read | FirstPage) -> None:
        read = edge if isinstance(edge, Read) else edge.read
        self.place = read
        # The answer to `place` where it has come already.
        self.answer = None if isinstance(edge, Read) else edge.answer
        self.run = 1
        self.is_over = False
        self._first_size = read.limit  # None leaves it to Meta
        self._greatest = read.later_limit or read.limit
        self._good_pages = 0
        self._passed: set[str] = set()

    def go_on(self, page: Page) -> None:
        """Move to the next page after a good one, if there is one."""
        self.answer = None
        self.is_over = page.next_cursor is None
        if page.next_cursor is None:
            return
        if page.next_cursor in self._passed:
            raise UnknownGraphError("The edge led to a page that was read before")
        self._passed.add(page.next_cursor)
        self.place = self.place.after(page.next_cursor)
        self._grow()

    def start_again(self, error: CursorExpired) -> None:
        """Start from page one after a cursor that died. Raise the error at the second time."""
        if self.run > 1:
            raise error
        self.place, self.run, self.answer = self.place.from_start(), 2, None
        self._passed.clear()

    def shrink(self, error: TooMuchData | InvalidRequest) -> None:
        """Ask for less after a page that was too great. Raise the error where that cannot help."""
        now = self.place.limit
        if isinstance(error, InvalidRequest):
            # The greatest page of an edge is not published: more is lowered or refused (7 [D]).
            if self._first_size in {now, self._greatest}:
                raise error
            self.use_first_size()
            return
        if now == 1:
            raise error
        self.place, self.answer = self.place.with_limit((now or _META_PAGE_SIZE) // 2), None
        self._good_pages = 1

    def use_first_size(self) -> None:
        """Go on with pages that are no greater than the first one."""
        self._greatest = self._first_size
        self.place, self.answer = self.place.with_limit(self._first_size), None

    def _grow(self) -> None:
        """Use the greatest size behind the first page, else grow step by step."""
        self._good_pages += 1
        now = self.place.limit
        if now == self._first_size and self._good_pages == 1:
            self.place = self.place.with_limit(self._greatest)
        elif self._good_pages > _GOOD_PAGES_BEFORE_GROWING and now is not None:
            self.place = self.place.with_limit(min(now * 2, self._greatest or _META_PAGE_SIZE))
            self._good_pages = 1
