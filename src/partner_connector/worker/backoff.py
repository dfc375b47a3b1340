"""Delays before work calls Meta again. Pure, except for the clock.

Waiting work is enqueued again with a delay, so that it does not occupy a worker meanwhile.
"""

import random
import traceback
from dataclasses import dataclass
from datetime import datetime, timedelta

from partner_connector.clock import now
from partner_connector.graph import GraphError, Throttled

_FIRST_WAIT_SECONDS = 5.0
_LONGEST_WAIT_SECONDS = 900.0
# Used where Meta does not report how long a limit lasts.
_THROTTLED_SECONDS = 60.0
# With the delays below, this covers about a day in which Meta cannot be reached.
MAX_ATTEMPTS = 100
# An internal error is retried in case it passes, but not for a day.
MAX_CRASHES = 5


class StepCrashed(Exception):
    """Internal error in a step, described by the type and place of the original exception.

    The engine stores the text of an exception that leaves a step, and the text of an unknown
    exception may contain a secret.
    """

    @classmethod
    def of(cls, error: Exception) -> "StepCrashed":
        """Convert an exception to its type and the line that raised it."""
        if isinstance(error, StepCrashed):
            return error
        frames = traceback.extract_tb(error.__traceback__)
        place = f" at {frames[-1].name}:{frames[-1].lineno}" if frames else ""
        return cls(type(error).__name__ + place)


@dataclass(frozen=True, slots=True)
class Pause:
    """Reason and end of a wait."""

    reason: str
    resume_at: datetime


def pause_for(error: GraphError, attempt: int) -> Pause | None:
    """Return the wait after this failure; None if waiting cannot help. `attempt` counts from 1."""
    if not error.transient:
        return None
    if isinstance(error, Throttled):
        return _pause("rate_limited", error.resume_after or _THROTTLED_SECONDS)
    return _pause("retrying", min(_doubled(attempt), _LONGEST_WAIT_SECONDS))


def pause_after_crash(crashes: int) -> Pause | None:
    """Return the wait after this many internal errors; None if all retries are used."""
    return None if crashes >= MAX_CRASHES else _pause("retrying", _doubled(crashes))


def _doubled(attempt: int) -> float:
    return _FIRST_WAIT_SECONDS * 2.0 ** min(attempt - 1, 16)


def _pause(reason: str, seconds: float) -> Pause:
    # Up to 10 % longer, so that work that stopped together does not start together.
    jittered = seconds * (1 + random.random() / 10)  # noqa: S311 - spreads load, guards nothing
    return Pause(reason, now() + timedelta(seconds=jittered))
