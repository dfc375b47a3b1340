"""Retry schedule of a webhook delivery. Pure."""

import random
from datetime import datetime, timedelta

# Delays between attempts: over three days in all. The first attempt is made at once.
RETRY_DELAYS = (
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
RETRY_PERIOD = sum(RETRY_DELAYS, timedelta())
_JITTER = 0.1
MAX_RETRY_AFTER = timedelta(hours=24)


def next_attempt(
    attempts: int, queued_at: datetime, at: datetime, retry_after: timedelta | None
) -> datetime | None:
    """Return the time of the next attempt after `attempts` failures; None to give up.

    A delivery that spent the whole retry period behind earlier ones is tried only once. Otherwise a
    dead server would hold each event of a partner for three more days.
    """
    if attempts > len(RETRY_DELAYS) or at - queued_at >= RETRY_PERIOD:
        return None
    factor = 1 + _JITTER * random.random()  # noqa: S311 - spreads load, guards nothing
    pause = RETRY_DELAYS[attempts - 1] * factor
    return at + max(pause, min(retry_after or timedelta(), MAX_RETRY_AFTER))
