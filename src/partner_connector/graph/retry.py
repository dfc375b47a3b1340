"""Delays between the quick retries of a call."""

import random

from partner_connector.graph.errors import GraphError, RetryRule

# In seconds. Up to three attempts in about two seconds cover short failures. For longer ones the
# sync job waits, which frees its worker.
_DELAYS = {
    RetryRule.QUICK: (0.5, 1.5),
    RetryRule.ONCE: (0.5,),
    RetryRule.SHRINK: (0.5,),
}

_random = random.SystemRandom()


def retry_delay(error: GraphError, attempt: int) -> float | None:
    """Return the seconds before the next attempt, or None to give up. `attempt` starts at 1."""
    delays = _DELAYS.get(error.retry, ())
    return delays[attempt - 1] if attempt <= len(delays) else None


def jitter() -> float:
    """Return a random factor near 1, so that workers do not all retry at the same time."""
    return _random.uniform(0.75, 1.25)
