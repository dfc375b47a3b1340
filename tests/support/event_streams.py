"""Server-sent events as a client reads them."""

import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

Json = dict[str, Any]
ACCEPT = {"Accept": "text/event-stream"}


@dataclass(slots=True)
class Reader:
    """Takes lines apart (HTML standard, 9.2.6). An event that is cut off is none."""

    events: list[Json] = field(default_factory=list)
    comments: int = 0
    _fields: Json = field(default_factory=dict)

    def take(self, line: str) -> bool:
        """One line more; True where it completes an event."""
        if line.startswith(":"):
            self.comments += 1
        elif line:
            name, _, value = line.partition(": ")
            self._fields[name] = value
        elif self._fields:
            told, self._fields = self._fields, {}
            item: Json = json.loads(told["data"])
            # What the frame says is what the item says.
            assert (told["id"], told["event"]) == (item["id"], item["type"])
            assert set(told) == {"id", "event", "data"}
            self.events.append(item)
            return True
        return False


def events_in(lines: Iterable[str]) -> list[Json]:
    """Every whole event."""
    reader = Reader()
    for line in lines:
        reader.take(line)
    return reader.events


def resuming(after: str | None) -> dict[str, str]:
    """The headers of whoever has the events up to this one."""
    return ACCEPT if after is None else {**ACCEPT, "Last-Event-ID": after}


@asynccontextmanager
async def following(
    client: httpx.AsyncClient, path: str, after: str | None = None
) -> AsyncIterator[httpx.Response]:
    """An open stream."""
    async with client.stream("GET", path, headers=resuming(after)) as answer:
        if answer.status_code == 200:
            assert answer.headers["content-type"].split(";")[0] == "text/event-stream"
        yield answer


async def streamed(client: httpx.AsyncClient, path: str, after: str | None = None) -> list[Json]:
    """All that the stream tells until it ends by itself."""
    async with following(client, path, after) as answer:
        assert answer.status_code == 200, await answer.aread()
        return events_in([line async for line in answer.aiter_lines()])
