"""A part of all that Meta can do wrong; `tests/journey/all_faults.py` plays the whole."""

from pathlib import Path

from tests.journey.all_faults import play, summary

ONE_IN = 8
LEAST_HITS = 35


def test_no_fault_of_meta_has_a_dishonest_outcome(tmp_path: Path) -> None:
    """Each check of the campaign is complete and true, says what it lacks, fails as it should or
    waits; nothing refused for good is asked again, and no token is in a URL or a log."""
    outcome = play(tmp_path, ONE_IN)
    print(summary(outcome))
    assert outcome.hits >= LEAST_HITS
    assert (outcome.wrong, outcome.tokens_found) == ([], [])
