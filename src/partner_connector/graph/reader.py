"""Reads with one token: one at a time, an edge page by page, or many in a batch."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

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


class GraphReader:
    """Reads with one token. Every method raises a `GraphError` when the read fails."""

    def __init__(self, wire: Wire, credentials: Credentials, meter: Meter) -> None:
        self._wire = wire
        self.credentials = credentials
        self.meter = meter

    @property
    def calls(self) -> int:
        """HTTP requests sent, repeats included."""
        return self.meter.calls

    @property
    def counted_calls(self) -> int:
        """The same as Meta counts them: each read of a batch is one (6.3 [D])."""
        return self.meter.counted_calls

    @property
    def served_version(self) -> str | None:
        """The version that answered this reader, None before its first answer.

        Meta serves an expired version by another one without a word (1 [D]); one that was not
        asked for is told even where later answers are as asked.
        """
        return self.meter.served_version

    async def get(self, read: Read) -> dict[str, Any]:
        """The answer to one read as Meta sent it, with the links in `paging` blanked."""
        request = self._wire.get_request(read.path, read.query())
        answer = await self._wire.exchange(
            request, self.credentials, self.meter, label=read.edge, subject=read.subject
        )
        if not isinstance(answer.content, dict):
            raise UnknownGraphError("The read was answered with a list")
        return answer.content

    async def page(self, read: Read) -> Page:
        """One page of an edge."""
        return page_from(await self.get(read))

    async def pages(
        self, read: Read, first: dict[str, Any] | GraphError | None = None
    ) -> AsyncIterator[Page]:
        """All pages of an edge, each asked for when the one before has been dealt with.

        `first` is page one where a batch has brought it already; what a batch could not carry,
        or a cursor that died, is no reason to give up here: the edge is then asked by itself.
        When the cursor dies under way, the edge is read once more from page one: those pages
        have `run == 2`, and the rows of the first run are to be dropped. When Meta finds an
        answer too big, the page size is halved, and grows back after some good pages. Where it
        refuses pages that are greater than the first one, the others are as small.
        """
        place, run, sizes = read, 1, _PageSizes(read)
        answer = first
        passed: set[str] = set()
        while True:
            try:
                page = await self._page_of(place, answer)
            except CursorExpired:
                if run > 1:
                    raise
                place, run, answer = place.from_start(), 2, None
                passed.clear()
                continue
            except (TooMuchData, InvalidRequest) as error:
                sizes.shrink(error)
                place, answer = place.with_limit(sizes.now), None
                continue
            yield replace(page, run=run)
            if page.next_cursor is None:
                return
            if page.next_cursor in passed:
                raise UnknownGraphError("The edge led to a page that was read before")
            passed.add(page.next_cursor)
            sizes.grow()
            place, answer = place.after(page.next_cursor).with_limit(sizes.now), None

    async def _page_of(self, read: Read, answer: dict[str, Any] | GraphError | None) -> Page:
        if answer is None:
            return await self.page(read)
        if isinstance(answer, GraphError):
            raise answer
        return page_from(answer)

    async def rows(
        self, read: Read, first: dict[str, Any] | GraphError | None = None
    ) -> list[dict[str, Any]]:
        """All rows of an edge at once; for edges known to be small. `first` as in `pages`."""
        rows: list[dict[str, Any]] = []
        run = 1
        async for page in self.pages(read, first):
            if page.run != run:
                rows, run = [], page.run
            rows.extend(page.rows)
        return rows

    async def batch(
        self, reads: Sequence[Read], others: "Mapping[int, GraphReader] | None" = None
    ) -> list[dict[str, Any] | GraphError]:
        """The answers to many reads in their order; what failed is an error in its place.

        `others` names, by place, the reads that are made with another reader's token. Sent 50 at
        a time. A failure of the first batch as a whole is raised; later ones, and those of a
        repeat for some reads, become the error of each read in it, so that nothing that was read
        is thrown away.
        """
        tasks = [_Task(read, (others or {}).get(place)) for place, read in enumerate(reads)]
        outcomes: list[dict[str, Any] | GraphError] = []
        for start in range(0, len(tasks), MAX_READS):
            chunk = tasks[start : start + MAX_READS]
            try:
                outcomes.extend(await self._batch(chunk))
            except GraphError as error:
                if start == 0:
                    raise
                outcomes.extend([error] * len(chunk))
        return outcomes

    async def _batch(self, tasks: Sequence["_Task"]) -> list[dict[str, Any] | GraphError]:
        """One batch, and again for the reads in it that a quick repeat may help.

        A read whose own allowance is used up is left out: the others go on without it.
        """
        outcomes: dict[int, dict[str, Any] | GraphError] = {
            index: refusal
            for index, task in enumerate(tasks)
            if (refusal := self._wire.held_back(task.read.subject, self.meter)) is not None
        }
        waiting = [index for index in range(len(tasks)) if index not in outcomes]
        attempt = 0
        while waiting:
            attempt += 1
            try:
                answers = await self._send_batch([tasks[index] for index in waiting])
            except GraphError as error:
                if attempt == 1:
                    raise
                # What the first attempt has read is not thrown away because a repeat failed.
                answers = [error] * len(waiting)
            outcomes.update(zip(waiting, answers, strict=True))
            delays = {
                index: delay
                for index in waiting
                if isinstance(outcome := outcomes[index], GraphError)
                and (delay := decide(outcome, attempt)) is not None
            }
            waiting = list(delays)
            if waiting:
                await self._wire.wait(max(delays.values()))
        return [outcomes[index] for index in range(len(tasks))]

    async def _send_batch(self, tasks: Sequence["_Task"]) -> list[dict[str, Any] | GraphError]:
        reads = [task.read for task in tasks]
        signer = BatchCredentials(
            self.credentials,
            {place: task.reader.credentials for place, task in enumerate(tasks) if task.reader},
        )
        request = self._wire.batch_request(batch_form(reads))
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
                self._outcome(task, item, answer.headers, signer)
                for task, item in zip(tasks, items, strict=True)
            ]
        # The whole was too much for Meta (960, or code 1 with "reduce the amount"): halve it.
        middle = len(reads) // 2
        return [*await self._send_batch(tasks[:middle]), *await self._send_batch(tasks[middle:])]

    def _outcome(
        self, task: "_Task", item: Any, outer: httpx.Headers, signer: BatchCredentials
    ) -> dict[str, Any] | GraphError:
        """What one item says. A limit that it reports is that of the token it was made with."""
        meter, subject = (task.reader or self).meter, task.read.subject
        if usages := parse_usage(item_headers(item)):
            self._wire.observe(usages, meter, subject)
        outcome = item_outcome(item, outer, secrets=signer.secrets())
        if isinstance(outcome, Throttled):
            self._wire.note_throttled(outcome, meter, subject)
        return outcome

    def __repr__(self) -> str:
        return f"GraphReader(token={HIDDEN})"


@dataclass(frozen=True, slots=True)
class _Task:
    """One read of a batch, and whose token it is made with where that is not the batch's."""

    read: Read
    reader: GraphReader | None


class _PageSizes:
    """How many rows the next page of an edge is asked for; None leaves it to Meta."""

    def __init__(self, read: Read) -> None:
        self.now = self._first = read.limit
        self._greatest = read.later_limit or read.limit
        self._good_pages = 0

    def grow(self) -> None:
        """After a good page: to the greatest size behind the first one, else step by step."""
        self._good_pages += 1
        if self.now == self._first and self._good_pages == 1:
            self.now = self._greatest
        elif self._good_pages > _GOOD_PAGES_BEFORE_GROWING and self.now is not None:
            self.now = min(self.now * 2, self._greatest or _META_PAGE_SIZE)
            self._good_pages = 1

    def shrink(self, error: TooMuchData | InvalidRequest) -> None:
        """After a page that was too great. Raises the error where a smaller one cannot help."""
        if isinstance(error, InvalidRequest):
            # The greatest page of an edge is not published: more is lowered or refused (7 [D]).
            if self._first in {self.now, self._greatest}:
                raise error
            self.now = self._greatest = self._first
            return
        size = self.now or _META_PAGE_SIZE
        if size == 1:
            raise error
        self.now, self._good_pages = size // 2, 1
