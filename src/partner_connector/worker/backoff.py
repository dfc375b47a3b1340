"""How long work waits before it asks Meta again. Pure but for the clock.

Waiting work is enqueued anew with a delay, so that it holds no worker meanwhile.
"""

import random
import traceback
from dataclasses import dataclass
from datetime import datetime, timedelta

from partner_connector.clock import now
from partner_connector.graph import GraphError, Throttled

_FIRST_WAIT_SECONDS = 5.0
_LONGEST_WAIT_SECONDS = 900.0
# Where nobody knows how long a limit lasts, a minute is the least that helps.
_THROTTLED_SECONDS = 60.0
# With the waits below: about a day of an unreachable Meta.
MOST_ATTEMPTS = 100
# A fault of our own is tried again in case it passes, but not for a day.
MOST_CRASHES = 5


class StepCrashed(Exception):
    """A fault of our own, by its kind and place: the engine keeps the text of what escapes a step,
    and the text of an unknown exception may hold anything.
    """

    @classmethod
    def of(cls, error: Exception) -> "StepCrashed":
        """The kind of the exception and the line that raised it."""
        if isinstance(error, StepCrashed):
            return error
        frames = traceback.extract_tb(error.__traceback__)
        place = f" at {frames[-1].name}:{frames[-1].lineno}" if frames else ""
        return cls(type(error).__name__ + place)


@dataclass(frozen=True, slots=True)
class Pause:
    """Why and until when work rests."""

    reason: str
    resume_at: datetime


def pause_for(error: GraphError, attempt: int) -> Pause | None:
    """When to go on after this failure; None when waiting cannot help."""
    if not error.transient:
        return None
    if isinstance(error, Throttled):
        return _pause("rate_limited", error.resume_after or _THROTTLED_SECONDS)
    return _pause("retrying", min(_doubled(attempt), _LONGEST_WAIT_SECONDS))


def pause_after_crash(crashes: int) -> Pause | None:
    """When to try again after so many faults of our own; None when it was tried often enough."""
    return None if crashes >= MOST_CRASHES else _pause("retrying", _doubled(crashes))


def _doubled(attempt: int) -> float:
    return _FIRST_WAIT_SECONDS * 2.0 ** min(attempt - 1, 16)


def _pause(reason: str, seconds: float) -> Pause:
    # A tenth more at most, so that work that stopped together does not start together.
    jittered = seconds * (1 + random.random() / 10)  # noqa: S311 - spreads load, guards nothing
    return Pause(reason, now() + timedelta(seconds=jittered))
