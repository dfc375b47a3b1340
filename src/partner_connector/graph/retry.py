"""Whether to ask again, and after how long. Pure, so that a table can test it."""

import random

from partner_connector.graph.errors import GraphError, RetryRule

# Three attempts and about two seconds of waiting: enough for a hiccup. Whatever takes longer
# belongs to the job that asked, which can park itself and free its worker.
_DELAYS = {
    RetryRule.QUICK: (0.5, 1.5),
    RetryRule.ONCE: (0.5,),
    RetryRule.SHRINK: (0.5,),
}

_random = random.SystemRandom()


def decide(error: GraphError, attempt: int) -> float | None:
    """Seconds to wait before the next attempt, or None to give up. `attempt` counts from 1."""
    delays = _DELAYS.get(error.retry, ())
    return delays[attempt - 1] if attempt <= len(delays) else None


def jitter() -> float:
    """A factor around one, so that workers which failed together do not return together."""
    return _random.uniform(0.75, 1.25)
