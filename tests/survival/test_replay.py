"""The replay of the change feed finds what was told twice, out of turn or of nobody."""

from tests.journey.replay import Json, replay

FACTS: Json = {
    "meta_user_id": "1",
    "name": "Ada",
    "kind": "person",
    "email": None,
    "title": None,
    "role": "ADMIN",
    "role_class": "admin",
    "two_factor": "on",
    "finance_permission": None,
}
ACCESS: Json = {"via": "direct", "tasks": ["MANAGE", "ANALYZE"], "full_control": True}


Event = tuple[str, Json | None, Json | None]


def told(*events: Event) -> list[Json]:
    """A feed of these kinds, with what was before and after."""
    return [
        {
            "sequence": sequence,
            "kind": kind,
            "partner_id": "ptn",
            "partner_user_id": "usr" if kind.startswith(("user_", "access_")) else None,
            "asset_id": "ast" if kind.startswith(("asset_", "access_")) else None,
            "before": before,
            "after": after,
        }
        for sequence, (kind, before, after) in enumerate(events, start=1)
    ]


JOINED: Event = ("user_joined", None, FACTS)
GRANTED: Event = ("access_granted", None, ACCESS)
REVOKED: Event = ("access_revoked", ACCESS, None)
LEFT: Event = ("user_left", FACTS, None)
RENAMED: Event = ("user_name_changed", {"name": "Ada"}, {"name": "Bea"})

SHARED: Event = ("asset_shared", None, {"type": "page"})
IMPOSSIBLE: list[list[Event]] = [
    [JOINED, JOINED],
    [JOINED, ("user_rejoined", FACTS, FACTS)],
    [LEFT],
    [JOINED, GRANTED, LEFT],
    [JOINED, GRANTED, GRANTED],
    [JOINED, ("access_changed", ACCESS, ACCESS)],
    [JOINED, GRANTED, ("access_changed", ACCESS, ACCESS)],
    [JOINED, REVOKED],
    [GRANTED],
    [JOINED, RENAMED, RENAMED],
    [RENAMED],
    [SHARED, SHARED],
    [("asset_unshared", {"type": "page"}, None)],
    [("partner_listed", None, {}), ("partner_listed", None, {})],
    [("partner_unshared", {}, None)],
    [("of_tomorrow", None, None)],
]


def test_a_true_feed_ends_in_what_it_tells() -> None:
    """Who came, was renamed and was given access is in, with that name and that access."""
    known = replay(told(("partner_listed", None, {}), JOINED, GRANTED, RENAMED))
    assert known.wrong == []
    assert known.partners == {"ptn"}
    assert known.shown() == {
        "usr": {
            "partner_id": "ptn",
            **FACTS,
            "name": "Bea",
            "grants": {"ast direct": {"tasks": ["ANALYZE", "MANAGE"], "full_control": True}},
        }
    }


def test_who_left_and_came_back_is_in() -> None:
    """Leaving takes the access first; coming back is no joining."""
    came_back = ("user_rejoined", FACTS, FACTS)
    known = replay(told(JOINED, GRANTED, REVOKED, LEFT, came_back))
    assert known.wrong == []
    assert known.users.keys() == {"usr"}
    assert known.grants == {}


def test_what_does_not_follow_is_named() -> None:
    """Each of these feeds has one event that cannot be true, and it is the last one."""
    for events in IMPOSSIBLE:
        feed = told(*events)
        wrong = replay(feed).wrong
        last = feed[-1]
        assert [one.split(" of ")[0] for one in wrong] == [f"{len(feed)} {last['kind']}"], events


def test_sequences_only_grow() -> None:
    """An event with a number that was there already is out of turn."""
    first, second = told(("partner_listed", None, {}), JOINED)
    assert replay([first, {**second, "sequence": 1}]).wrong == [
        "1 user_joined of usr comes after 1"
    ]
