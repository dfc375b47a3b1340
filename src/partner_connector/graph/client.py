"""The client of Meta's Graph API: one for a process, and a reader for each token."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import httpx

from partner_connector.graph.batch import (
    MAX_READS,
    batch_form,
    item_headers,
    item_outcome,
    items_of,
)
from partner_connector.graph.credentials import Credentials, ProofMode
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
from partner_connector.graph.retry import jitter as random_jitter
from partner_connector.graph.tokens import TokenInspection
from partner_connector.graph.usage import Usage, UsageObserver, highest_percent, parse_usage
from partner_connector.graph.wire import Meter, Wire

_META_PAGE_SIZE = 25  # what Meta takes when no limit is sent (7 [D])
_GOOD_PAGES_BEFORE_GROWING = 4


class GraphClient:
    """What a process shares when it talks to Meta; it holds no partner's token."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        version: str = "v26.0",
        app_id: str,
        app_secret: str | None = None,
        appsecret_proof: ProofMode = ProofMode.OFF,
        concurrency: int = 8,
        deadline: float = 60.0,
        on_usage: UsageObserver | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        jitter: Callable[[], float] = random_jitter,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`http` comes from `open_http_client`, which makes it read-only and silent.

        `deadline` bounds one attempt as a whole, since a read timeout starts anew at each byte.
        """
        if appsecret_proof is not ProofMode.OFF and not app_secret:
            raise ValueError("a proof is made with the app's secret, and there is none")
        self._app_id = app_id
        self._app_secret = app_secret
        self._proof = appsecret_proof
        self._clock = clock
        self._wire = Wire(
            http,
            version=version,
            concurrency=concurrency,
            deadline=deadline,
            on_usage=on_usage,
            sleep=sleep,
            jitter=jitter,
        )

    @property
    def served_version(self) -> str | None:
        """The version that Meta says answered last, which need not be the one asked for."""
        return self._wire.served_version

    @property
    def usage(self) -> Mapping[str, Usage]:
        """The latest report on each allowance, by key."""
        return self._wire.usage

    @property
    def usage_percent(self) -> float:
        """The highest of the latest reports."""
        return highest_percent(list(self._wire.usage.values()))

    def reader(self, token: str) -> "GraphReader":
        """A reader bound to this token; make one per job, it counts its own calls."""
        return GraphReader(self._wire, self._credentials(token))

    async def debug_token(self, token: str) -> TokenInspection:
        """Ask Meta about a token; the only call with a token in its URL, there is no other form.

        Asked with the app's token where its secret is known, else with the token itself, which
        works for some tokens only (4.1 [O]). A bad token is a verdict in the result.
        """
        app_token = f"{self._app_id}|{self._app_secret}" if self._app_secret else token
        credentials = self._credentials(app_token, also_secret=token)
        request = self._wire.get_request("debug_token", {"input_token": token})
        answer = await self._wire.exchange(request, credentials, Meter(), label="debug_token")
        if not isinstance(answer.content, dict) or not isinstance(answer.content.get("data"), dict):
            raise UnknownGraphError("debug_token answered without a verdict")
        return TokenInspection.from_answer(answer.content, secrets=credentials.secrets())

    def _credentials(self, token: str, *, also_secret: str | None = None) -> Credentials:
        return Credentials(
            token,
            proof=self._proof,
            app_secret=self._app_secret,
            clock=self._clock,
            also_secret=also_secret,
        )

    def __repr__(self) -> str:
        return f"GraphClient(app_id={self._app_id!r}, app_secret={HIDDEN})"


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
