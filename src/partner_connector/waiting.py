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

Row = TypeVar("Row")

_FIRST_LOOK_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 0.5


async def until(
    is_final: Callable[[Row], bool],
    read: Callable[[], Awaitable[Row]],
    seconds: int,
    draining: asyncio.Event,
) -> Row:
    """The row once it is final, or as it is after `seconds` or when the process has to end."""
    deadline = time.monotonic() + seconds
    pause = _FIRST_LOOK_SECONDS
    row = await read()
    while not is_final(row) and time.monotonic() < deadline and not draining.is_set():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(pause, max(0.0, deadline - time.monotonic()))):
                await draining.wait()
        pause = min(pause * 1.5, _LONGEST_PAUSE_SECONDS)
        row = await read()
    return row


def accepted(response: Response, *, location: str, is_final: bool, waited: int) -> None:
    """Status and headers of an answer about work: 202 while it goes on, 200 once it is done."""
    response.headers["Location"] = location
    if waited:
        response.headers["Preference-Applied"] = f"wait={waited}"
        response.headers["Vary"] = "Prefer"
    if is_final and waited:
        response.status_code = 200
    else:
        response.status_code = 202
        response.headers["Retry-After"] = "1"
