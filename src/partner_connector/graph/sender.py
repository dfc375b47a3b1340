"""Requests to Meta: check the budgets, send, classify the answer, retry.

Facts about Meta are on the page `docs/reference/graph-facts.md`, named here as `#…`.
"""

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

from partner_connector.graph.budget_cache import PRIVATE_PREFIX, BudgetCache, BudgetStore
from partner_connector.graph.budgets import (
    FULL_PERCENT,
    CallContext,
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
from partner_connector.graph.retry import retry_delay
from partner_connector.graph.slots import Slots
from partner_connector.graph.usage import SLOW_FROM_PERCENT, Usage, parse_usage, pause_at

logger = logging.getLogger(__name__)

# A page of 100 rows has about 10 kB, a full batch with people a few MB.
_MAX_ANSWER_BYTES = 64 * 1024 * 1024

_numbers = count(1)

# Instrumentation of one request: takes its edge and its number of reads. The context manager yields
# a function that takes the outcome.
Instrumentation = Callable[[str, int], AbstractContextManager[Callable[[str], object]]]


def no_instrumentation(_edge: str, _reads: int) -> AbstractContextManager[Callable[[str], object]]:
    """No-op instrumentation."""
    return nullcontext(lambda _outcome: None)


@dataclass(frozen=True, slots=True)
class Answer:
    """A good answer: its JSON and its headers."""

    content: Any
    headers: httpx.Headers


@dataclass(slots=True)
class Meter:
    """Calls of one reader, and the account and app whose budgets they use.

    `account` is a name of the token under which all readers share its budget; without it only this
    reader knows the token's usage. `app_id` is the app that the token was issued for, if it is not
    the client's app.
    """

    account: str = ""
    app_id: str = ""
    calls: int = 0  # HTTP requests, retries included
    counted_calls: int = 0  # calls as Meta counts them: one for each read of a batch (#waiting)
    served_version: str | None = None  # the last one; a version that differs is kept
    # Keys of budgets that answers to this token reported for objects other than the one read.
    reported: set[str] = field(default_factory=set)
    number: int = field(default_factory=lambda: next(_numbers))

    @property
    def token_key(self) -> str:
        return f"token:{self.account}" if self.account else f"{PRIVATE_PREFIX}{self.number}"


@dataclass(eq=False, repr=False, kw_only=True)
class RequestSender:
    """Sender of requests, shared by all readers: HTTP client, slots, clock and budgets."""

    http: httpx.AsyncClient
    version: str
    app_id: str
    concurrency: InitVar[int]
    deadline: float
    store: InitVar[BudgetStore | None]
    sleep: Callable[[float], Awaitable[object]]
    jitter: Callable[[], float]
    clock: Callable[[], float]
    instrument: Instrumentation
    on_throttle: Callable[[str], object]

    def __post_init__(self, concurrency: int, store: BudgetStore | None) -> None:
        self.slots = Slots(concurrency, time.monotonic)
        self.budget_cache = BudgetCache(store, self.clock)
        self._logged_versions: set[str] = set()

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
        """Send the request and return its answer. Raise the error that remains after quick retries.

        `weight` is the number of calls that Meta counts, `subject` the object that is read; None
        for a batch. Raise `Throttled` without sending while a budget of the call is used up.
        """
        attempt = 0
        while True:
            attempt += 1
            await self._wait_for_budget(meter, subject)
            with self.instrument(label, weight) as record_outcome:
                outcome = await self._attempt(request, credentials, meter, weight, subject)
                record_outcome("ok" if isinstance(outcome, Answer) else str(outcome.error_class))
            if isinstance(outcome, Answer):
                self.slots.record_success()
                return outcome
            if outcome.retry is RetryRule.QUICK:
                self.slots.record_failure()
            delay = retry_delay(outcome, attempt)
            logger.debug(
                "graph_call_failed",
                extra={"edge": label, "attempt": attempt, "code": outcome.code, "delay": delay},
            )
            if delay is None:
                raise outcome
            await self.wait(delay)

    async def wait(self, delay: float) -> None:
        """Sleep for this many seconds, with jitter."""
        await self.sleep(delay * self.jitter())

    def refusal_of(self, subject: str | None, meter: Meter) -> Throttled | None:
        """Return the error for a read in a batch while the budget of its object is used up.

        The budgets of the app and the token are checked for the whole batch.
        """
        object_id = self._call_context(meter, subject).object_id
        if object_id is None:
            return None
        return self._refusal(
            [key for key in self.budget_cache.budgets if object_of(key) == object_id]
        )

    def record_usage(
        self, usages: Sequence[Usage], meter: Meter, subject: str | None = None
    ) -> None:
        """Update the budgets that an answer reports. Failed answers report usage too."""
        context, now = self._call_context(meter, subject), self.clock()
        reports = [(context.key_of_report(usage), usage) for usage in usages]
        by_object = defaultdict(list)
        for key, usage in reports:
            by_object[object_of(key) or key].append(usage)
        for key, usage in reports:
            if object_of(key) not in {None, context.object_id}:
                meter.reported.add(key)
            of_object = by_object[object_of(key) or key]
            self.budget_cache.record(
                key, reported(self.budget_cache.budgets.get(key), usage, of_object, now)
            )
        self._limit_slots()

    def record_throttled(self, error: GraphError, meter: Meter, subject: str | None) -> None:
        """Block the budget that refused a call, and set the error's `resume_after`."""
        context, now = self._call_context(meter, subject), self.clock()
        scope = error.scope or LimitScope.TOKEN
        self.on_throttle(str(scope))
        key = context.key_of_scope(scope)
        budget = blocked(self.budget_cache.budgets.get(key), error.resume_after, now)
        self.budget_cache.record(key, budget)
        error.resume_after = budget.wait_at(now)

    async def _wait_for_budget(self, meter: Meter, subject: str | None) -> None:
        """Raise `Throttled` when a budget is used up; delay the call from 75 %."""
        await self._require_budget(meter, subject)
        now, budgets = self.clock(), self.budget_cache.budgets
        used = [budgets[key].percent_at(now) for key in self._keys_of(meter, subject)]
        if pause := pause_at(max(used, default=0.0)):
            await self.sleep(pause)

    async def _require_budget(self, meter: Meter, subject: str | None) -> None:
        await self.budget_cache.refresh()
        self._limit_slots()
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
        """Send the request once; return its answer or its error.

        The error is not raised here: its context would be the HTTP library's exception, which holds
        the whole URL.
        """
        async with self.slots.acquire():
            # Another call may have used up a budget while this one waited for a slot.
            await self._require_budget(meter, subject)
            meter.calls += 1
            meter.counted_calls += weight
            try:
                async with asyncio.timeout(self.deadline):
                    response = await self.http.send(
                        request, auth=credentials, follow_redirects=False, stream=True
                    )
                    body = await _read_body(response)
            except (httpx.RequestError, TimeoutError) as failure:
                return unreachable(type(failure).__name__)
        if body is None:
            return TooMuchData("Meta's answer is larger than 64 MiB")
        self._record_version(response.headers, meter)
        self.record_usage(parse_usage(response.headers), meter, subject)
        content = parse_answer(body)
        error = classify(
            response.status_code, response.headers, content, secrets=credentials.secrets()
        )
        if isinstance(error, Throttled):
            self.record_throttled(error, meter, subject)
        if error is not None:
            return error
        return Answer(content, response.headers)

    def _call_context(self, meter: Meter, subject: str | None) -> CallContext:
        return CallContext(f"app:{meter.app_id or self.app_id}", meter.token_key, subject)

    def _keys_of(self, meter: Meter, subject: str | None) -> list[str]:
        """Return the keys of the known budgets that a call uses."""
        context = self._call_context(meter, subject)
        own = {context.app_key, context.token_key} | meter.reported
        return [
            key
            for key in self.budget_cache.budgets
            if key in own or (context.object_id is not None and object_of(key) == context.object_id)
        ]

    def _refusal(self, keys: Sequence[str]) -> Throttled | None:
        """Return the error for the longest block of these budgets, or None."""
        now = self.clock()
        waits = [(self.budget_cache.budgets[key].wait_at(now) or 0.0, key) for key in keys]
        wait, key = max(waits, default=(0.0, ""))
        return _throttled(key, wait) if wait > 0.0 else None

    def _limit_slots(self) -> None:
        """Reduce the slots as the app nears its limit."""
        app, now = self.budget_cache.budgets.get(f"app:{self.app_id}"), self.clock()
        used = app.percent_at(now) if app is not None else 0.0
        left = (FULL_PERCENT - used) / (FULL_PERCENT - SLOW_FROM_PERCENT)
        self.slots.limit_to(min(max(left, 0.0), 1.0))

    def _record_version(self, headers: httpx.Headers, meter: Meter) -> None:
        """Record the served version: Meta replaces an expired one without an error (#versions)."""
        served = headers.get("facebook-api-version")
        if served is None:
            return
        if meter.served_version in {None, self.version}:
            meter.served_version = served
        if served != self.version and served not in self._logged_versions:
            self._logged_versions.add(served)
            logger.warning("graph_version_differs", extra={"asked": self.version, "served": served})


def _throttled(key: str, wait: float) -> Throttled:
    kind = key.partition(":")[0]
    scope = LimitScope(kind) if kind in set(LimitScope) else LimitScope.TOKEN
    what = "the app" if scope is LimitScope.APP else "this token or the object that it reads"
    return Throttled(
        f"Meta's limit for {what} is used up: nothing was sent", resume_after=wait, scope=scope
    )


async def _read_body(response: httpx.Response) -> bytes | None:
    """Return the body, or None if it is larger than 64 MiB."""
    body = bytearray()
    try:
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > _MAX_ANSWER_BYTES:
                return None
    finally:
        await response.aclose()
    return bytes(body)
