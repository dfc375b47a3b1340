"""Scheduling of the test suite: groups on one worker, and twins of one test."""

import pytest

from tests.support.scheduling import group_of, twin_of

JOURNEY = "tests/journey/test_retries.py"


@pytest.mark.parametrize(
    ("nodeid", "group"),
    [
        (f"{JOURNEY}::test_lost_response_is_repeated_for_the_same_key[embedded]", "embedded"),
        (
            f"{JOURNEY}::test_fifty_concurrent_check_requests_make_one_job[separate-no key]",
            "separate",
        ),
        (
            "tests/journey/test_traces.py::test_child_runs_and_webhook_messages_are_traced",
            "tests/journey/test_traces.py",
        ),
        ("tests/survival/test_survival.py::test_any[embedded]", "survival"),
        ("tests/api/test_plans.py::test_approve[sqlite]", None),
    ],
)
def test_tests_that_share_processes_are_one_group(nodeid: str, group: str | None) -> None:
    """Check that any other test forms its own group, so that no worker is idle."""
    assert group_of(nodeid) == (group or nodeid)


@pytest.mark.parametrize(
    ("test", "way", "twin"),
    [
        ("test_a[postgresql]", "sqlite", "test_a[sqlite]"),
        ("test_a[x-embedded-1]", "separate", "test_a[x-separate-1]"),
        ("test_a[sqlite]", "sqlite", "test_a[sqlite]"),
        ("test_embedded[not embedded]", "separate", "test_embedded[not embedded]"),
    ],
)
def test_twin_differs_only_in_way(test: str, way: str, twin: str) -> None:
    """Check that only the parametrized way is replaced in the id."""
    assert twin_of(f"{JOURNEY}::{test}", way) == f"{JOURNEY}::{twin}"
