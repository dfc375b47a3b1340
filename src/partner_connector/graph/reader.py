"""Reads with one token: one at a time, an edge page by page, or many in a batch."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

from partner_connector.graph.batch import (
    MAX_READS,
    batch_form,
    item_headers,
    item_outcome,
    items_of,
)
from partner_connector.graph.credentials import Credentials
from partner_connector.graph.errors import (
    CursorExpired,
    GraphError,
    RetryRule,
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

    def __init__(self, wire: Wire, credentials: Credentials) -> None:
        self._wire = wire
        self._credentials = credentials
        self._meter = Meter()

    @property
    def calls(self) -> int:
        """HTTP requests sent, repeats included."""
        return self._meter.calls

    @property
    def counted_calls(self) -> int:
        """The same as Meta counts them: each read of a batch is one (6.3 [D])."""
        return self._meter.counted_calls

    async def get(self, read: Read) -> dict[str, Any]:
        """The answer to one read as Meta sent it, with the links in `paging` blanked."""
        request = self._wire.get_request(read.path, read.query())
        answer = await self._wire.exchange(request, self._credentials, self._meter, label=read.edge)
        if not isinstance(answer.content, dict):
            raise UnknownGraphError("The read was answered with a list")
        return answer.content

    async def page(self, read: Read) -> Page:
        """One page of an edge."""
        return page_from(await self.get(read))

    async def pages(self, read: Read) -> AsyncIterator[Page]:
        """All pages of an edge, each asked for when the one before has been dealt with.

        When the cursor dies under way, the edge is read once more from page one: those pages
        have `run == 2`, and the rows of the first run are to be dropped. When Meta finds an
        answer too big, the page size is halved, and grows back after some good pages.
        """
        place, run, good_pages = read, 1, 0
        while True:
            try:
                page = await self.page(place)
            except CursorExpired:
                if run > 1:
                    raise
                place, run = place.from_start(), 2
                continue
            except TooMuchData:
                size = place.limit or _META_PAGE_SIZE
                if size == 1:
                    raise
                place, good_pages = place.with_limit(size // 2), 0
                continue
            yield replace(page, run=run)
            if page.next_cursor is None:
                return
            if page.next_cursor == place.params.get("after"):
                raise UnknownGraphError("The edge gave the same cursor twice")
            good_pages += 1
            place = place.after(page.next_cursor)
            if good_pages >= _GOOD_PAGES_BEFORE_GROWING:
                place, good_pages = _grown(place, read), 0

    async def rows(self, read: Read) -> list[dict[str, Any]]:
        """All rows of an edge at once; for edges known to be small."""
        rows: list[dict[str, Any]] = []
        run = 1
        async for page in self.pages(read):
            if page.run != run:
                rows, run = [], page.run
            rows.extend(page.rows)
        return rows

    async def batch(self, reads: Sequence[Read]) -> list[dict[str, Any] | GraphError]:
        """The answers to many reads in their order; what failed is an error in its place.

        Sent 50 at a time. A failure of a whole batch is raised, also when earlier ones went well;
        a failure of the repeat for some of its reads becomes their error.
        """
        outcomes: list[dict[str, Any] | GraphError] = []
        for start in range(0, len(reads), MAX_READS):
            outcomes.extend(await self._batch(reads[start : start + MAX_READS]))
        return outcomes

    async def _batch(self, reads: Sequence[Read]) -> list[dict[str, Any] | GraphError]:
        """One batch, and again for the reads in it that a quick repeat may help."""
        outcomes: dict[int, dict[str, Any] | GraphError] = {}
        waiting = list(range(len(reads)))
        attempt = 0
        while waiting:
            attempt += 1
            try:
                answers = await self._send_batch([reads[index] for index in waiting])
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
        return [outcomes[index] for index in range(len(reads))]

    async def _send_batch(self, reads: Sequence[Read]) -> list[dict[str, Any] | GraphError]:
        request = self._wire.batch_request(batch_form(reads))
        try:
            answer = await self._wire.exchange(
                request, self._credentials, self._meter, label="batch", weight=len(reads)
            )
        except GraphError as error:
            if error.retry is not RetryRule.SHRINK or len(reads) == 1:
                raise
        else:
            items = items_of(answer.content, len(reads))
            usages = [usage for item in items for usage in parse_usage(item_headers(item))]
            if usages:
                self._wire.observe(usages, self._meter)
            secrets = self._credentials.secrets()
            return [item_outcome(item, answer.headers, secrets=secrets) for item in items]
        # The whole was too much for Meta (960, or code 1 with "reduce the amount"): halve it.
        middle = len(reads) // 2
        return [*await self._send_batch(reads[:middle]), *await self._send_batch(reads[middle:])]

    def __repr__(self) -> str:
        return f"GraphReader(token={HIDDEN})"


def _grown(place: Read, wanted: Read) -> Read:
    """Twice the page size, up to what the caller asked for."""
    if place.limit == wanted.limit or place.limit is None:
        return place
    doubled = place.limit * 2
    if doubled >= (wanted.limit or _META_PAGE_SIZE):
        return replace(place, limit=wanted.limit)
    return place.with_limit(doubled)
