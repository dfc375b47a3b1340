"""When a message is tried again, and when no more. Pure."""

import random
from datetime import datetime, timedelta

# Between one attempt and the next; the first is made at once. Over three days in all.
PAUSES = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
WHOLE = sum(PAUSES, timedelta())
_JITTER = 0.1
LONGEST_WISH = timedelta(hours=24)


def next_attempt(
    attempts: int, queued_at: datetime, at: datetime, retry_after: timedelta | None
) -> datetime | None:
    """When, after so many failed attempts; None for never.

    One that had to wait for earlier ones until all of its time was over is tried once: else a
    server that is gone would hold up its partner's events for three days each.
    """
    if attempts > len(PAUSES) or at - queued_at >= WHOLE:
        return None
    spread = 1 + _JITTER * random.random()  # noqa: S311 - spreads load, guards nothing
    pause = PAUSES[attempts - 1] * spread
    return at + max(pause, min(retry_after or timedelta(), LONGEST_WISH))
