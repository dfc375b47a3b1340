"""`Prefer: wait=N`: delay a response until the work is finished or N seconds have passed.

The row is read repeatedly, each time in its own short transaction, so that a waiting client holds
no connection and no lock.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from fastapi import Response

from partner_connector.errors import NotFound

Row = TypeVar("Row")

_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 0.5


async def wait_until_final(
    row: Row,
    is_final: Callable[[Row], bool],
    read: Callable[[], Awaitable[Row]],
    seconds: int,
    stopping: asyncio.Event,
) -> Row:
    """Wait until the row is final, `seconds` have passed or the process stops. Return the row."""
    deadline = time.monotonic() + seconds
    pause = _FIRST_PAUSE_SECONDS
    while not is_final(row) and time.monotonic() < deadline and not stopping.is_set():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(pause, max(0.0, deadline - time.monotonic()))):
                await stopping.wait()
        pause = min(pause * 1.5, _LONGEST_PAUSE_SECONDS)
        try:
            row = await read()
        except NotFound:
            # The row was deleted together with its parent. The request itself has succeeded.
            break
    return row


def set_accepted_headers(response: Response, *, location: str) -> None:
    """Set the status and headers of a response about unfinished work."""
    response.status_code = 202
    response.headers["Location"] = location
    response.headers["Retry-After"] = "1"


def set_waited_headers(response: Response, *, waited: int, is_final: bool) -> None:
    """Set the status and headers after the client has waited: 200 if the work is finished."""
    if not waited:
        return
    response.headers["Preference-Applied"] = f"wait={waited}"
    response.headers["Vary"] = "Prefer"
    if is_final:
        response.status_code = 200
        del response.headers["Retry-After"]
