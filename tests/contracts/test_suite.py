"""The suite itself: what stays together on one worker, and what is one test played twice."""

import pytest

from tests.support.scheduling import group_of, twin_of

JOURNEY = "tests/journey/test_retries.py"


@pytest.mark.parametrize(
    ("nodeid", "group"),
    [
        (f"{JOURNEY}::test_a_lost_answer[embedded]", "embedded"),
        (f"{JOURNEY}::test_fifty_checks_at_once[separate-no key]", "separate"),
        ("tests/journey/test_traces.py::test_what_else_is_traced", "tests/journey/test_traces.py"),
        ("tests/survival/test_survival.py::test_any[embedded]", "survival"),
        ("tests/api/test_plans.py::test_approve[sqlite]", None),
    ],
)
def test_tests_that_share_processes_are_one_group(nodeid: str, group: str | None) -> None:
    """Any other test is a group of its own, so that no worker is idle."""
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
def test_a_twin_differs_in_the_way_only(test: str, way: str, twin: str) -> None:
    """What is no name of a way stays as it is."""
    assert twin_of(f"{JOURNEY}::{test}", way) == f"{JOURNEY}::{twin}"
