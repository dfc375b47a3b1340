"""One request, carried through: may it be sent, attempt, classify, decide, wait."""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import InitVar, dataclass, field
from itertools import count
from typing import Any

import httpx

from partner_connector.graph.budgets import (
    FULL_PERCENT,
    Concern,
    blocked,
    object_of,
    reported,
)
from partner_connector.graph.classify import classify, parse_answer, unreachable
from partner_connector.graph.credentials import Signer
from partner_connector.graph.errors import (
    GraphError,
    LimitScope,
    RetryRule,
    Throttled,
    TooMuchData,
)
from partner_connector.graph.ledger import PRIVATE_PREFIX, BudgetStore, Ledger
from partner_connector.graph.retry import decide
from partner_connector.graph.slots import Slots
from partner_connector.graph.usage import SLOW_FROM_PERCENT, Usage, parse_usage, pause_at

logger = logging.getLogger(__name__)

# A page of a hundred rows has some ten thousand bytes, a full batch with people some millions.
_LONGEST_ANSWER_BYTES = 64 * 1024 * 1024

_number = count(1)

# Lasts as long as one request, of so many reads of an edge, and takes what came of it.
Watch = Callable[[str, int], AbstractContextManager[Callable[[str], object]]]


def unwatched(_edge: str, _reads: int) -> AbstractContextManager[Callable[[str], object]]:
    """No-op instrumentation."""
    return nullcontext(lambda _outcome: None)


@dataclass(frozen=True, slots=True)
class Answer:
    """A good answer: its JSON, and the headers it came with."""

    content: Any
    headers: httpx.Headers


@dataclass(slots=True)
class Meter:
    """What one reader has used, and on whose account.

    `account` names its token for all who share budgets; without a name nobody else knows how much
    of the token's allowance is used. `app_id` is the app that the token was made for, where that
    is not the client's own.
    """

    account: str = ""
    app_id: str = ""
    calls: int = 0  # requests on the wire, repeats included
    counted_calls: int = 0  # calls as Meta counts them: each read of a batch is one (6.3 [D])
    served_version: str | None = None  # the last one; one that was not asked for is kept
    # Budgets that were reported on this token's answers, and are not of what the call was about.
    reported: set[str] = field(default_factory=set)
    number: int = field(default_factory=lambda: next(_number))

    @property
    def token_key(self) -> str:
        return f"token:{self.account}" if self.account else f"{PRIVATE_PREFIX}{self.number}"


@dataclass(eq=False, repr=False, kw_only=True)
class Wire:
    """What all readers share: the HTTP client, the slots, the clock and the budgets."""

    http: httpx.AsyncClient
    version: str
    app_id: str
    concurrency: InitVar[int]
    deadline: float
    store: InitVar[BudgetStore | None]
    sleep: Callable[[float], Awaitable[object]]
    jitter: Callable[[], float]
    clock: Callable[[], float]
    watch: Watch
    on_throttle: Callable[[str], object]

    def __post_init__(self, concurrency: int, store: BudgetStore | None) -> None:
        self.slots = Slots(concurrency, time.monotonic)
        self.ledger = Ledger(store, self.clock)
        self._versions_told: set[str] = set()

    def get_request(self, path: str, query: dict[str, str]) -> httpx.Request:
        return self.http.build_request("GET", f"/{self.version}/{path}", params=query)

    def batch_request(self, form: dict[str, str]) -> httpx.Request:
        return self.http.build_request("POST", f"/{self.version}/", data=form)

    async def exchange(
        self,
        request: httpx.Request,
        credentials: Signer,
        meter: Meter,
        *,
        label: str,
        weight: int = 1,
        subject: str | None = None,
    ) -> Answer:
        """The answer to this request, or the error that is left after the quick retries.

        `weight` is for how many calls it counts, `subject` what is read or whose edge; a batch
        has none. Raises `Throttled` without sending while a budget that it draws on is used up.
        """
        attempt = 0
        while True:
            attempt += 1
            await self._hold_back(meter, subject)
            with self.watch(label, weight) as came:
                outcome = await self._attempt(request, credentials, meter, weight, subject)
                came("ok" if isinstance(outcome, Answer) else str(outcome.error_class))
            if isinstance(outcome, Answer):
                self.slots.went_well()
                return outcome
            if outcome.retry is RetryRule.QUICK:
                self.slots.went_wrong()
            delay = decide(outcome, attempt)
            logger.debug(
                "graph_call_failed",
                extra={"edge": label, "attempt": attempt, "code": outcome.code, "delay": delay},
            )
            if delay is None:
                raise outcome
            await self.wait(delay)

    async def wait(self, delay: float) -> None:
        await self.sleep(delay * self.jitter())

    def held_back(self, subject: str | None, meter: Meter) -> Throttled | None:
        """What to answer in place of one read of a batch whose own budget is used up.

        Only of what the read is about: the app's and the token's concern the whole batch.
        """
        object_id = self._concern(meter, subject).object_id
        if object_id is None:
            return None
        return self._refusal([key for key in self.ledger.budgets if object_of(key) == object_id])

    def observe(self, usages: Sequence[Usage], meter: Meter, subject: str | None = None) -> None:
        """Take note of the budgets that an answer reports, whether it was a good one or not."""
        concern, now = self._concern(meter, subject), self.clock()
        reports = [(concern.key_of_report(usage), usage) for usage in usages]
        beside = defaultdict(list)
        for key, usage in reports:
            beside[object_of(key) or key].append(usage)
        for key, usage in reports:
            if object_of(key) not in {None, concern.object_id}:
                meter.reported.add(key)
            same = beside[object_of(key) or key]
            self.ledger.note(key, reported(self.ledger.budgets.get(key), usage, same, now))
        self._narrow()

    def note_throttled(self, error: GraphError, meter: Meter, subject: str | None) -> None:
        """Block the budget that refused a call, and tell the error for how long."""
        concern, now = self._concern(meter, subject), self.clock()
        scope = error.scope or LimitScope.TOKEN
        self.on_throttle(str(scope))
        key = concern.key_of_scope(scope)
        budget = blocked(self.ledger.budgets.get(key), error.resume_after, now)
        self.ledger.note(key, budget)
        error.resume_after = budget.wait_at(now)

    async def _hold_back(self, meter: Meter, subject: str | None) -> None:
        """Stand still at the wall, and walk slowly before it."""
        await self._require_budget(meter, subject)
        now, budgets = self.clock(), self.ledger.budgets
        used = [budgets[key].percent_at(now) for key in self._keys_of(meter, subject)]
        if pause := pause_at(max(used, default=0.0)):
            await self.sleep(pause)

    async def _require_budget(self, meter: Meter, subject: str | None) -> None:
        await self.ledger.look()
        self._narrow()
        refusal = self._refusal(self._keys_of(meter, subject))
        if refusal is not None:
            raise refusal

    async def _attempt(
        self,
        request: httpx.Request,
        credentials: Signer,
        meter: Meter,
        weight: int,
        subject: str | None,
    ) -> Answer | GraphError:
        """Send once. A failure is returned and raised elsewhere: raised here, it would carry the
        HTTP library's exception as its context, and that one knows the whole URL."""
        async with self.slots.one():
            # Others may have met the wall while this one waited for its turn.
            await self._require_budget(meter, subject)
            meter.calls += 1
            meter.counted_calls += weight
            try:
                async with asyncio.timeout(self.deadline):
                    response = await self.http.send(
                        request, auth=credentials, follow_redirects=False, stream=True
                    )
                    body = await _body_of(response)
            except (httpx.RequestError, TimeoutError) as failure:
                return unreachable(type(failure).__name__)
        if body is None:
            return TooMuchData("The answer is longer than any that fits in memory")
        self._note_version(response.headers, meter)
        self.observe(parse_usage(response.headers), meter, subject)
        content = parse_answer(body)
        error = classify(
            response.status_code, response.headers, content, secrets=credentials.secrets()
        )
        if isinstance(error, Throttled):
            self.note_throttled(error, meter, subject)
        if error is not None:
            return error
        return Answer(content, response.headers)

    def _concern(self, meter: Meter, subject: str | None) -> Concern:
        return Concern(f"app:{meter.app_id or self.app_id}", meter.token_key, subject)

    def _keys_of(self, meter: Meter, subject: str | None) -> list[str]:
        """The known budgets that a call draws on."""
        concern = self._concern(meter, subject)
        own = {concern.app_key, concern.token_key} | meter.reported
        return [
            key
            for key in self.ledger.budgets
            if key in own or (concern.object_id is not None and object_of(key) == concern.object_id)
        ]

    def _refusal(self, keys: Sequence[str]) -> Throttled | None:
        """The error for the longest of these blocks."""
        now = self.clock()
        waits = [(self.ledger.budgets[key].wait_at(now) or 0.0, key) for key in keys]
        wait, key = max(waits, default=(0.0, ""))
        return _used_up(key, wait) if wait > 0.0 else None

    def _narrow(self) -> None:
        """Fewer calls at once, the nearer the app is to its limit."""
        app, now = self.ledger.budgets.get(f"app:{self.app_id}"), self.clock()
        used = app.percent_at(now) if app is not None else 0.0
        left = (FULL_PERCENT - used) / (FULL_PERCENT - SLOW_FROM_PERCENT)
        self.slots.narrow_to(min(max(left, 0.0), 1.0))

    def _note_version(self, headers: httpx.Headers, meter: Meter) -> None:
        """Meta serves an expired version by another one without a word (1 [D])."""
        served = headers.get("facebook-api-version")
        if served is None:
            return
        if meter.served_version in {None, self.version}:
            meter.served_version = served
        if served != self.version and served not in self._versions_told:
            self._versions_told.add(served)
            logger.warning("graph_version_differs", extra={"asked": self.version, "served": served})


def _used_up(key: str, wait: float) -> Throttled:
    kind = key.partition(":")[0]
    scope = LimitScope(kind) if kind in set(LimitScope) else LimitScope.TOKEN
    what = "the app" if scope is LimitScope.APP else "this token or what it reads"
    return Throttled(
        f"Meta's limit for {what} is used up: nothing was sent", resume_after=wait, scope=scope
    )


async def _body_of(response: httpx.Response) -> bytes | None:
    """The body, or None for one that would fill the memory."""
    body = bytearray()
    try:
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > _LONGEST_ANSWER_BYTES:
                return None
    finally:
        await response.aclose()
    return bytes(body)
