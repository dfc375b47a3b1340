"""How long work rests after each kind of failure."""

import pytest

from partner_connector.clock import now
from partner_connector.graph import ErrorClass, GraphError, Temporary, Throttled, TokenDead
from partner_connector.worker.backoff import pause_for


def throttled(seconds: float | None) -> Throttled:
    return Throttled("m", error_class=ErrorClass.RATE_LIMIT, resume_after=seconds)


def waits(error: GraphError, attempt: int) -> tuple[str, float]:
    """The reason and the seconds."""
    at = now()
    pause = pause_for(error, attempt)
    assert pause is not None
    return pause.reason, (pause.resume_at - at).total_seconds()


@pytest.mark.parametrize("attempt", [1, 2, 30])
@pytest.mark.parametrize(
    ("told", "seconds"), [(7.0, 7), (420.0, 420), (86400.0, 86400), (None, 60)]
)
def test_a_limit_is_waited_out_whichever_attempt_it_is(
    told: float | None, seconds: float, attempt: int
) -> None:
    """Not a second too early, and a tenth more at most; the budgets know about repetition."""
    reason, waited = waits(throttled(told), attempt)
    assert reason == "rate_limited"
    assert seconds <= waited <= seconds * 1.1 + 1


def test_trouble_is_waited_out_longer_each_time() -> None:
    """Doubled from five seconds to a quarter of an hour."""
    error = Temporary("m", error_class=ErrorClass.TRANSIENT)
    for attempt, seconds in ((1, 5), (2, 10), (5, 80), (40, 900)):
        reason, waited = waits(error, attempt)
        assert reason == "retrying"
        assert seconds <= waited <= seconds * 1.1 + 1


def test_a_dead_token_is_not_waited_for() -> None:
    """Waiting cannot help."""
    assert pause_for(TokenDead("m"), 1) is None
