"""Clients that send the next request after each response, over a kept connection.

They repeat no request: one without a response counts as failed.
"""

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx

from tests.journey.meta import Json
from tests.support.event_streams import Reader, following
from tests.survival.customer import Customer

READERS, WRITERS, WAITERS, FOLLOWERS = 3, 3, 1, 1
# About ten requests a second for each client: the same machine also runs the product.
_THINKS_FOR_SECONDS = 0.1
_HELD_FOR_SECONDS = 2


class Load:
    """Requests that were sent through one address, and their results."""

    def __init__(self, url: str, subject: Customer) -> None:
        self.subject = subject
        self.name = f"load-{uuid.uuid4().hex[:12]}"
        self.phase = "between restarts"
        self.answered: Counter[str] = Counter()
        self.failed: list[str] = []
        self.seconds: dict[str, list[float]] = {}
        """Seconds that plain requests took, by phase."""
        self.made: set[str] = set()
        """Names of API keys whose creation was answered."""
        self.jobs: set[str] = set()
        self._url = url
        self._stopped = False

    def stop(self) -> None:
        """Stop each client after its current response."""
        self._stopped = True

    async def run(self) -> None:
        """Run all clients until `stop`."""
        partners = self.subject.partners
        async with asyncio.TaskGroup() as clients:
            for _ in range(READERS):
                clients.create_task(self._client(self._read, partners[0]))
            for _ in range(WRITERS):
                clients.create_task(self._client(self._write, partners[0]))
            for number in range(WAITERS):
                clients.create_task(self._client(self._wait, partners[number]))
            for number in range(FOLLOWERS):
                clients.create_task(self._client(self._follow, partners[WAITERS + number]))

    async def _client(
        self, ask: Callable[[httpx.AsyncClient, Json], Awaitable[None]], partner: Json
    ) -> None:
        headers = {"Authorization": f"Bearer {self.subject.caller.api_key}"}
        async with httpx.AsyncClient(
            base_url=self._url, headers=headers, trust_env=False, timeout=20
        ) as http:
            while not self._stopped:
                try:
                    await ask(http, partner)
                except (httpx.TransportError, _Refused) as error:
                    self.failed.append(f"{ask.__name__} {self.phase}: {error!r}")
                await asyncio.sleep(_THINKS_FOR_SECONDS)

    async def _read(self, http: httpx.AsyncClient, partner: Json) -> None:
        for path in ("/v1/partners", f"/v1/partner-users?partner_id={partner['id']}"):
            began = time.perf_counter()
            answer = await http.get(path)
            self._plain("reads", answer, 200, time.perf_counter() - began)

    async def _write(self, http: httpx.AsyncClient, _: Json) -> None:
        name = f"{self.name}-{uuid.uuid4()}"
        body = {"name": name, "scopes": ["partners:read"]}
        began = time.perf_counter()
        answer = await http.post("/v1/api-keys", json=body, headers={"Idempotency-Key": name})
        self._plain("writes", answer, 201, time.perf_counter() - began)
        self.made.add(name)

    async def _wait(self, http: httpx.AsyncClient, partner: Json) -> None:
        """Request a check with `Prefer: wait`; a response before its end is valid, too."""
        path = f"/v1/partners/{partner['id']}/sync-jobs"
        answer = await http.post(path, json={}, headers={"Prefer": f"wait={_HELD_FOR_SECONDS}"})
        self.jobs.add(_expected(answer, 200, 202).json()["id"])
        self.answered["checks waited for"] += 1

    async def _follow(self, http: httpx.AsyncClient, partner: Json) -> None:
        """Follow a check from its first event to its last, over as many streams as it takes."""
        answer = await http.post(f"/v1/partners/{partner['id']}/sync-jobs", json={})
        job = _expected(answer, 202).json()
        self.jobs.add(job["id"])
        path = f"/v1/sync-jobs/{job['id']}/events"
        reader, streams = Reader(), 0
        while not (reader.events and reader.events[-1]["final"]):
            streams += 1
            after = reader.events[-1]["id"] if reader.events else None
            async with following(http, path, after) as stream:
                _expected(stream, 200)
                async for line in stream.aiter_lines():
                    reader.take(line)
        listed = _expected(await http.get(path, params={"page_size": 100}), 200).json()
        if reader.events != listed["items"]:
            raise _Refused(f"{reader.events} were streamed, not {listed['items']}")
        self.answered["checks followed"] += 1
        self.answered["streams"] += streams
        self.answered["streams that were resumed"] += streams - 1

    def _plain(self, kind: str, answer: httpx.Response, expected: int, seconds: float) -> None:
        _expected(answer, expected)
        self.answered[kind] += 1
        self.seconds.setdefault(f"{kind} {self.phase}", []).append(seconds)


class _Refused(Exception):
    """Unexpected response."""


def _expected(answer: httpx.Response, *due: int) -> httpx.Response:
    if answer.status_code not in due:
        raise _Refused(f"{answer.request.method} {answer.url.path}: {answer.status_code}")
    return answer


@asynccontextmanager
async def under_load(url: str, subject: Customer) -> AsyncIterator[Load]:
    """Run the clients until the block ends, and wait for their last responses."""
    load = Load(url, subject)
    running = asyncio.create_task(load.run())
    try:
        yield load
    finally:
        load.stop()
        await running
