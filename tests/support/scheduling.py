"""What `make test` plays, and how its workers share it."""

import re

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]  # has no types

# The two ways to play a test: `by_day` names the one that `make test` plays.
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

    Of journeys, each way to run the product is started by one worker; other files of them, and
    those of migrations, have fixtures of their own.
    """
    file, _, test = nodeid.partition("::")
    folder = file.split("/")[-2]
    if folder in {"survival", "rotation"}:
        return folder
    if folder == "journey" and (way := _WAYS.search(test)):
        return way.group()
    return file if folder in {"journey", "migrations"} else nodeid


def is_nightly(item: pytest.Item, collected: set[str]) -> bool:
    """Return whether this test, or this way to play it, is left to `make nightly`.

    A test that is asked for by its full id has no twin beside it and is played.
    """
    if item.get_closest_marker("nightly") is not None:
        return True
    by_day = item.get_closest_marker("by_day")
    if by_day is None:
        return False
    twin = twin_of(item.nodeid, by_day.args[0])
    return twin != item.nodeid and twin in collected


def twin_of(nodeid: str, way: str) -> str:
    """Return the id of the same test as it is played in this way."""
    return re.sub(rf"(?<=[\[-]){_TWINS[way]}(?=[\]-])", way, nodeid)
