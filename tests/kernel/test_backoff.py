"""Backoff after each kind of failure."""

import pytest

from partner_connector.clock import now
from partner_connector.graph import ErrorClass, GraphError, Temporary, Throttled, TokenDead
from partner_connector.worker.backoff import pause_for


def throttled(seconds: float | None) -> Throttled:
    return Throttled("m", error_class=ErrorClass.RATE_LIMIT, resume_after=seconds)


def pause_of(error: GraphError, attempt: int) -> tuple[str, float]:
    """Return the reason of the pause and its length in seconds."""
    at = now()
    pause = pause_for(error, attempt)
    assert pause is not None
    return pause.reason, (pause.resume_at - at).total_seconds()


@pytest.mark.parametrize("attempt", [1, 2, 30])
@pytest.mark.parametrize(
    ("resume_after", "seconds"), [(7.0, 7), (420.0, 420), (86400.0, 86400), (None, 60)]
)
def test_rate_limit_pause_does_not_depend_on_attempt(
    resume_after: float | None, seconds: float, attempt: int
) -> None:
    """Check that the pause is as long as Meta's wait, or up to a tenth longer.

    The attempt does not matter: the budgets lengthen a repeated block.
    """
    reason, waited = pause_of(throttled(resume_after), attempt)
    assert reason == "rate_limited"
    assert seconds <= waited <= seconds * 1.1 + 1


def test_pause_after_temporary_failure_doubles() -> None:
    """Check that the pause doubles from 5 seconds up to 15 minutes."""
    error = Temporary("m", error_class=ErrorClass.TRANSIENT)
    for attempt, seconds in ((1, 5), (2, 10), (5, 80), (40, 900)):
        reason, waited = pause_of(error, attempt)
        assert reason == "retrying"
        assert seconds <= waited <= seconds * 1.1 + 1


def test_dead_token_causes_no_pause() -> None:
    assert pause_for(TokenDead("m"), 1) is None
