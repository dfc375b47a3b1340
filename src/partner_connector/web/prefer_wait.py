"""`Prefer: wait=N`: hold an answer until the work behind it is done, or N seconds have passed.

The row is read again in short transactions of its own, so that a waiting client holds no
connection and no lock.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from fastapi import Response

from partner_connector.errors import NotFound

Row = TypeVar("Row")

_FIRST_LOOK_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 0.5


async def until(
    row: Row,
    is_final: Callable[[Row], bool],
    read: Callable[[], Awaitable[Row]],
    seconds: int,
    draining: asyncio.Event,
) -> Row:
    """The row once it is final, or as it is after `seconds` or when the process has to end."""
    deadline = time.monotonic() + seconds
    pause = _FIRST_LOOK_SECONDS
    while not is_final(row) and time.monotonic() < deadline and not draining.is_set():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(pause, max(0.0, deadline - time.monotonic()))):
                await draining.wait()
        pause = min(pause * 1.5, _LONGEST_PAUSE_SECONDS)
        try:
            row = await read()
        except NotFound:
            # Deleted meanwhile, with what it belongs to. What was asked for was done all the same.
            break
    return row


def accepted(response: Response, *, location: str) -> None:
    """Status and headers of an answer about work that goes on."""
    response.status_code = 202
    response.headers["Location"] = location
    response.headers["Retry-After"] = "1"


def held(response: Response, *, waited: int, is_final: bool) -> None:
    """The same after the client has waited, if it has: 200 where the work is done."""
    if not waited:
        return
    response.headers["Preference-Applied"] = f"wait={waited}"
    response.headers["Vary"] = "Prefer"
    if is_final:
        response.status_code = 200
        del response.headers["Retry-After"]
