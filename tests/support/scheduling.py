"""Selection of the tests that `make test` runs, and their distribution over its workers."""

import re

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]  # has no types

# The two ways to run a test: `by_day` names the one that `make test` runs.
_TWINS = {
    "sqlite": "postgresql",
    "postgresql": "sqlite",
    "embedded": "separate",
    "separate": "embedded",
}
_WAYS = re.compile(r"(?<=[\[-])(?:embedded|separate)(?=[\]-])")


class GroupScheduling(LoadScopeScheduling):  # type: ignore[misc]  # see above
    """A scheduler whose units are groups of tests, the largest first.

    `--dist loadgroup` forms no groups with pytest 9.2 (pytest-xdist#1386).
    """

    def _split_scope(self, nodeid: str) -> str:
        """Return the group of this test: the method that xdist's own schedulers override."""
        return group_of(nodeid)


def group_of(nodeid: str) -> str:
    """Return the name of the group, or the test's own id where it shares nothing.

    Journeys form one group for each way to run the product, so that one worker starts it once. Each
    other file of journeys or migrations forms a group, because it has its own fixtures.
    """
    file, _, test = nodeid.partition("::")
    folder = file.split("/")[-2]
    if folder in {"survival", "rotation"}:
        return folder
    if folder == "journey" and (way := _WAYS.search(test)):
        return way.group()
    return file if folder in {"journey", "migrations"} else nodeid


def is_nightly(item: pytest.Item, collected: set[str]) -> bool:
    """Return whether only `make nightly` runs this test, or this parametrization of it.

    If a test is requested by its full id, its twin is not collected, and the test runs.
    """
    if item.get_closest_marker("nightly") is not None:
        return True
    by_day = item.get_closest_marker("by_day")
    if by_day is None:
        return False
    twin = twin_of(item.nodeid, by_day.args[0])
    return twin != item.nodeid and twin in collected


def twin_of(nodeid: str, way: str) -> str:
    """Return the id of the same test in the given way to run it."""
    return re.sub(rf"(?<=[\[-]){_TWINS[way]}(?=[\]-])", way, nodeid)
