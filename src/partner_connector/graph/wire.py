"""One request, carried through: attempt, classify, decide, wait."""

import asyncio
import json
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from partner_connector.graph.classify import classify, unreachable
from partner_connector.graph.credentials import Credentials
from partner_connector.graph.errors import GraphError
from partner_connector.graph.reads import hide_links
from partner_connector.graph.retry import decide
from partner_connector.graph.usage import (
    Usage,
    UsageObserver,
    highest_percent,
    parse_usage,
    pause_at,
)

logger = logging.getLogger(__name__)

_REMEMBERED_ALLOWANCES = 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """A good answer: its JSON, and the headers it came with."""

    content: Any
    headers: httpx.Headers


@dataclass(slots=True)
class Meter:
    """What one reader has used: requests on the wire, calls as Meta counts them, its percent."""

    calls: int = 0
    counted_calls: int = 0
    percent: float = 0.0


class Wire:
    """What all readers share: the HTTP client, the slots, the clock and the reported usage."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        version: str,
        concurrency: int,
        deadline: float,
        on_usage: UsageObserver | None,
        sleep: Callable[[float], Awaitable[object]],
        jitter: Callable[[], float],
    ) -> None:
        self._http = http
        self._version = version
        self._slots = asyncio.Semaphore(concurrency)
        self._deadline = deadline
        self._on_usage = on_usage
        self._sleep = sleep
        self._jitter = jitter
        self.usage: OrderedDict[str, Usage] = OrderedDict()
        self.served_version: str | None = None

    def get_request(self, path: str, query: dict[str, str]) -> httpx.Request:
        return self._http.build_request("GET", f"/{self._version}/{path}", params=query)

    def batch_request(self, form: dict[str, str]) -> httpx.Request:
        return self._http.build_request("POST", f"/{self._version}/", data=form)

    async def exchange(
        self,
        request: httpx.Request,
        credentials: Credentials,
        meter: Meter,
        *,
        label: str,
        weight: int = 1,
    ) -> Answer:
        """The answer to this request, or the error that is left after the quick retries."""
        attempt = 0
        while True:
            attempt += 1
            await self._hold_back(meter)
            meter.calls += 1
            meter.counted_calls += weight
            outcome = await self._attempt(request, credentials, meter)
            if isinstance(outcome, Answer):
                return outcome
            delay = decide(outcome, attempt)
            logger.debug(
                "graph_call_failed",
                extra={"edge": label, "attempt": attempt, "code": outcome.code, "delay": delay},
            )
            if delay is None:
                raise outcome
            await self.wait(delay)

    async def wait(self, delay: float) -> None:
        await self._sleep(delay * self._jitter())

    def observe(self, usages: Sequence[Usage], meter: Meter) -> None:
        """Take note of the allowances that an answer reports, whether it was a good one or not."""
        meter.percent = highest_percent([usage for usage in usages if usage.key != "app"])
        for usage in usages:
            self.usage[usage.key] = usage
            self.usage.move_to_end(usage.key)
        while len(self.usage) > _REMEMBERED_ALLOWANCES:
            self.usage.popitem(last=False)
        if usages and self._on_usage is not None:
            self._on_usage(usages)

    async def _attempt(
        self, request: httpx.Request, credentials: Credentials, meter: Meter
    ) -> Answer | GraphError:
        """Send once. A failure is returned and raised elsewhere: raised here, it would carry the
        HTTP library's exception as its context, and that one knows the whole URL."""
        try:
            async with self._slots, asyncio.timeout(self._deadline):
                response = await self._http.send(request, auth=credentials, follow_redirects=False)
        except (httpx.RequestError, TimeoutError) as failure:
            return unreachable(type(failure).__name__)
        self._note_version(response.headers)
        self.observe(parse_usage(response.headers), meter)
        error = classify(
            response.status_code,
            response.headers,
            response.content,
            secrets=credentials.secrets(),
        )
        if error is not None:
            return error
        return Answer(json.loads(response.content, object_hook=hide_links), response.headers)

    async def _hold_back(self, meter: Meter) -> None:
        """Slow down near a limit: the app's own counts for all, the others for their reader."""
        app = self.usage.get("app")
        pause = pause_at(max(meter.percent, app.percent if app else 0.0))
        if pause:
            await self._sleep(pause)

    def _note_version(self, headers: httpx.Headers) -> None:
        """Meta serves an expired version by another one without a word (1 [D])."""
        served = headers.get("facebook-api-version")
        if served is None or served == self.served_version:
            return
        self.served_version = served
        if served != self._version:
            logger.warning(
                "graph_version_differs", extra={"asked": self._version, "served": served}
            )
