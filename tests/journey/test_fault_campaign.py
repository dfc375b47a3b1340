"""Each fault of Meta once, at one edge; `all_faults.py` plays each at every edge."""

from pathlib import Path

import pytest

from tests.journey.all_faults import play, summary

LEAST_HITS = 18


@pytest.mark.nightly
def test_no_fault_of_meta_has_an_untrue_outcome(tmp_path: Path) -> None:
    """Assert the outcome of every check of the sample.

    Each check is complete and true, reports what it lacks, fails as expected or waits. No read that
    Meta refused for good is repeated, and no token is in a URL or a log.
    """
    outcome = play(tmp_path, sample=True)
    print(summary(outcome))
    assert outcome.hits >= LEAST_HITS
    assert (outcome.wrong, outcome.tokens_found) == ([], [])
