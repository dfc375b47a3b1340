"""Client side of server-sent events."""

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
    """Parser of an event stream (HTML standard, 9.2.6). It ignores an incomplete event."""

    events: list[Json] = field(default_factory=list)
    comments: int = 0
    _fields: Json = field(default_factory=dict)

    def take(self, line: str) -> bool:
        """Parse the next line. Return True if the line completes an event."""
        if line.startswith(":"):
            self.comments += 1
        elif line:
            name, _, value = line.partition(": ")
            self._fields[name] = value
        elif self._fields:
            fields, self._fields = self._fields, {}
            item: Json = json.loads(fields["data"])
            # The id and the type in the frame are those of the item.
            assert (fields["id"], fields["event"]) == (item["id"], item["type"])
            assert set(fields) == {"id", "event", "data"}
            self.events.append(item)
            return True
        return False


def events_in(lines: Iterable[str]) -> list[Json]:
    """Return every complete event."""
    reader = Reader()
    for line in lines:
        reader.take(line)
    return reader.events


def resuming(after: str | None) -> dict[str, str]:
    """Return the headers of a client that has every event up to this id."""
    return ACCEPT if after is None else {**ACCEPT, "Last-Event-ID": after}


@asynccontextmanager
async def following(
    client: httpx.AsyncClient, path: str, after: str | None = None
) -> AsyncIterator[httpx.Response]:
    """Open an event stream and yield its response."""
    async with client.stream("GET", path, headers=resuming(after)) as answer:
        if answer.status_code == 200:
            assert answer.headers["content-type"].split(";")[0] == "text/event-stream"
        yield answer


async def streamed(client: httpx.AsyncClient, path: str, after: str | None = None) -> list[Json]:
    """Return all events of a stream, which the server ends. Fail unless the status is 200."""
    async with following(client, path, after) as answer:
        assert answer.status_code == 200, await answer.aread()
        return events_in([line async for line in answer.aiter_lines()])
