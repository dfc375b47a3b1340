"""Random worlds, checked one after another: stored grants and the change feed stay correct."""

from collections.abc import Mapping
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from partner_connector.db.engine import Database
from tests.journey.replay import replay, shown
from tests.sync.checks import World, make_partner

Json = dict[str, Any]
Grants = dict[tuple[str, str, str], tuple[str, ...]]

_ASSETS = ("11", "12", "13")
_PEOPLE = ("901", "902", "903", "904")
_TASKS = st.sampled_from([("ANALYZE",), ("ADVERTISE", "ANALYZE"), ("MANAGE",), ()])


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Draw some assets, users with direct and group access, and the facts of the users."""
    assets = draw(st.sets(st.sampled_from(_ASSETS), min_size=1))
    assigned = {
        asset: draw(st.dictionaries(st.sampled_from(_PEOPLE), _TASKS)) for asset in sorted(assets)
    }
    places = st.tuples(st.sampled_from(sorted(assets)), st.sampled_from(_PEOPLE))
    groups = draw(st.dictionaries(places, _TASKS, max_size=2))
    listed = draw(st.sets(st.sampled_from(_PEOPLE)))
    return World(assigned, {person: draw(_person(person)) for person in sorted(listed)}, groups)


def _person(person: str) -> st.SearchStrategy[Json]:
    return st.fixed_dictionaries(
        {
            "id": st.just(person),
            "name": st.sampled_from(["Ada", "Åsa \u2028 “Q”", "=1+1"]),
            "email": st.sampled_from([None, f"{person}@example.com"]),
            "role": st.sampled_from(["ADMIN", "EMPLOYEE"]),
            "two_fac_status": st.sampled_from(["enabled", "disabled", None]),
        }
    )


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(sequence=st.lists(st.tuples(worlds(), st.booleans()), min_size=1, max_size=5))
async def test_stored_grants_equal_what_was_read(
    database: Database, sequence: list[tuple[World, bool]]
) -> None:
    """Complete checks store exactly what was read; partial checks add and change, but remove
    nothing.
    """
    partner = await make_partner(database)
    expected: Grants = {}
    for world, is_complete in sequence:
        refused = frozenset() if is_complete else frozenset(list(world.assets)[:1])
        before, seen = expected, _granted(world)
        expected = seen if is_complete else {**before, **seen}

        job = await partner.check(world, refused=refused)

        users = await partner.users()
        assert _stored(users) == expected
        assert job.status == "completed"
        assert job.seen == len({person for _, person, _ in seen})
        assert job.added == len({p for _, p, _ in seen} - {p for _, p, _ in before})
        assert job.removed == (len(_people(before) - _people(expected)))
        assert {user["meta_user_id"] for user in users.values()} == _people(expected)
        for user in users.values():
            assert user["asset_count"] == len({grant["asset"]["id"] for grant in user["grants"]})
            _assert_facts(user, world, seen)
        replayed = replay(await partner.feed())
        assert replayed.wrong == []
        assert replayed.shown() == shown(users.values())

        changes = len(await partner.feed())
        again = await partner.check(world, refused=refused)
        assert (again.added, again.changed, again.removed) == (0, 0, 0)
        assert len(await partner.feed()) == changes


def _granted(world: World) -> Grants:
    direct = {
        (asset, person, "direct"): tuple(sorted(tasks))
        for asset, assigned in world.assets.items()
        for person, tasks in assigned.items()
    }
    through = {
        (asset, person, "asset_group"): tuple(sorted(tasks))
        for (asset, person), tasks in world.groups.items()
    }
    return direct | through


def _stored(users: Mapping[str, Json]) -> Grants:
    return {
        (grant["asset"]["meta_id"], user["meta_user_id"], grant["via"]): tuple(grant["tasks"])
        for user in users.values()
        for grant in user["grants"]
    }


def _people(grants: Grants) -> set[str]:
    return {person for _, person, _ in grants}


def _assert_facts(user: Json, world: World, seen: Grants) -> None:
    """Require that a seen and listed user has the facts of the list."""
    listed = world.people.get(user["meta_user_id"])
    if listed is None or user["meta_user_id"] not in _people(seen):
        return
    assert user["name"] == listed["name"]
    assert user["email"] == listed["email"]
    assert user["role"] == listed["role"]
