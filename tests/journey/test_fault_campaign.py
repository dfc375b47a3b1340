"""Each trouble of Meta once, each at one edge; `all_faults.py` plays each at every edge."""

from pathlib import Path

import pytest

from tests.journey.all_faults import play, summary

LEAST_HITS = 18


@pytest.mark.nightly
def test_no_fault_of_meta_has_a_dishonest_outcome(tmp_path: Path) -> None:
    """Each check of the campaign is complete and true, says what it lacks, fails as it should or
    waits; nothing refused for good is asked again, and no token is in a URL or a log."""
    outcome = play(tmp_path, sample=True)
    print(summary(outcome))
    assert outcome.hits >= LEAST_HITS
    assert (outcome.wrong, outcome.tokens_found) == ([], [])
