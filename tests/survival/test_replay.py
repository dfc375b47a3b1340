"""Replay of the change feed, which finds repeated, unordered and unexpected events."""

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


def feed_of(*events: Event) -> list[Json]:
    """Return a feed of these events."""
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


def test_valid_feed_leads_to_its_state() -> None:
    """Assert that a user who joined, was renamed and got access has that name and access."""
    known = replay(feed_of(("partner_listed", None, {}), JOINED, GRANTED, RENAMED))
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


def test_user_who_left_and_rejoined_is_active() -> None:
    """Assert that leaving removes access first, and that a return is not a join."""
    came_back = ("user_rejoined", FACTS, FACTS)
    known = replay(feed_of(JOINED, GRANTED, REVOKED, LEFT, came_back))
    assert known.wrong == []
    assert known.users.keys() == {"usr"}
    assert known.grants == {}


def test_impossible_event_is_reported() -> None:
    """Assert that the last event of each impossible feed is reported."""
    for events in IMPOSSIBLE:
        feed = feed_of(*events)
        wrong = replay(feed).wrong
        last = feed[-1]
        assert [one.split(" of ")[0] for one in wrong] == [f"{len(feed)} {last['kind']}"], events


def test_repeated_sequence_is_reported() -> None:
    """Assert that an event with an earlier sequence is reported."""
    first, second = feed_of(("partner_listed", None, {}), JOINED)
    assert replay([first, {**second, "sequence": 1}]).wrong == [
        "1 user_joined of usr comes after 1"
    ]
