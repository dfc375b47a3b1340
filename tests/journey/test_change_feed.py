"""The change feed as a client reads it in small pages while changes are added."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.journey.caller import Caller, at_once, first_with
from tests.journey.meta import Json
from tests.journey.replay import replay, shown

pytestmark = pytest.mark.by_day("separate")

AT_A_TIME = 3


def followed(caller: Caller, after: int) -> list[Json]:
    """Return the changes after the last sequence that was read, a page at a time."""
    found: list[Json] = []
    while page := caller.get("/v1/changes", after=after, page_size=AT_A_TIME)["items"]:
        assert page[0]["sequence"] > after
        found += page
        after = page[-1]["sequence"]
    return found


def walked(caller: Caller, **start: str) -> Iterator[Json]:
    """Return all changes, page by page with the cursor."""
    while True:
        page = caller.get("/v1/changes", page_size=AT_A_TIME, **start)
        yield page
        if page["next_cursor"] is None:
            return
        start["cursor"] = page["next_cursor"]


def sequences(changes: list[Json]) -> list[int]:
    """Return the sequences of these changes."""
    return [change["sequence"] for change in changes]


def assert_each_once_in_order(changes: list[Json]) -> None:
    """Assert that sequences only grow."""
    assert sequences(changes) == sorted(set(sequences(changes)))


def test_follower_gets_each_change_once_and_in_order(caller: Caller) -> None:
    """Read with `after` and with cursors while checks of several partners add changes."""
    _, partners = caller.discover()
    first = first_with(partners, "agency")
    caller.connected(first)
    known = caller.everything("/v1/changes", page_size=100)
    assert len(known) > 10 * AT_A_TIME
    assert_each_once_in_order(known)
    assert followed(caller, 0) == known
    assert [change for page in walked(caller) for change in page["items"]] == known
    half = known[len(known) // 2]["sequence"]
    assert followed(caller, half) == [one for one in known if one["sequence"] > half]

    begun = caller.get("/v1/changes", page_size=AT_A_TIME)
    others = [one for one in partners.values() if one["id"] != first["id"]]
    seen = list(known)
    with ThreadPoolExecutor(max_workers=1) as background:
        checks = background.submit(at_once, caller.connected, others)
        while not checks.done():
            seen += followed(caller, seen[-1]["sequence"])
        checks.result()
    seen += followed(caller, seen[-1]["sequence"])

    everything = caller.everything("/v1/changes", page_size=100)
    assert len(everything) > 2 * len(known)
    assert seen == everything
    assert_each_once_in_order(seen)
    rest = walked(caller, cursor=begun["next_cursor"])
    assert begun["items"] + [change for page in rest for change in page["items"]] == everything
    users = caller.everything("/v1/partner-users", state="active", expand="grants")
    replayed = replay(seen)
    assert (replayed.wrong, replayed.shown()) == ([], shown(users))
