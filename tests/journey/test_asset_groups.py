"""Access through a partner's asset groups counts like direct access."""

from typing import Any

import pytest

from tests.journey import truth
from tests.journey.caller import Caller, first_with
from tests.journey.meta import Json

pytestmark = pytest.mark.by_day("separate")

REFUSED = {"error": {"code": 200, "message": "(#200) Permissions error"}}


def only_through_a_group(known: Json) -> str:
    """Move a person to a group, without any other access to shared assets."""
    return str(
        next(p["id"] for p in known["people"] if {a["via"] for a in p["assets"]} == {"group"})
    )


def assigned_to(known: Json, kind: str, how_many: int) -> tuple[Json, list[str]]:
    """Return a shared asset of this type and the people who are assigned to it."""
    for asset in known["shared_assets"]:
        direct = [row["id"] for row in asset["people"] if row["via"] == "direct"]
        if asset["type"] == kind and len(direct) >= how_many:
            return asset, direct[:how_many]
    raise AssertionError(f"no {kind} has {how_many} people")


def ways(user: Json) -> dict[tuple[str, str], list[str]]:
    """Return a user's tasks by asset and way of access."""
    return {(g["asset"]["meta_id"], g["via"]): g["tasks"] for g in user["grants"]}


def assert_truth_is_shown(caller: Caller, partner: Json) -> Json:
    """Assert users, counts and assets, groups included."""
    known = caller.meta.partner(partner["meta_business_id"])
    assert truth.shown_users(caller.users(partner)) == truth.users(known)
    assert caller.partner(partner)["people_without_access_count"] == truth.people_not_stored(known)
    shared = caller.everything(f"/v1/partners/{partner['id']}/assets")
    assert truth.shown_assets(shared) == truth.assets(known)
    return known


def complete_check(caller: Caller, partner: Json) -> Json:
    """Run a check, and assert that it is complete and the truth is shown."""
    job = caller.check(partner)
    assert (job["partial"], job["warnings"]) == (False, [])
    assert_truth_is_shown(caller, partner)
    return job


def test_people_join_stay_and_leave_through_groups(caller: Caller) -> None:
    """Cover one group, two groups, a group besides or instead of an assignment, and no access."""
    _, partners = caller.discover()
    partner = caller.connected(first_with(partners, "agency"))
    known = assert_truth_is_shown(caller, partner)
    through = caller.user(partner, only_through_a_group(known))
    assert {grant["via"] for grant in through["grants"]} == {"asset_group"}
    assert through["email"]

    page, (both, mover) = assigned_to(known, "page", 2)
    catalog = next(a["id"] for a in known["shared_assets"] if a["type"] == "product_catalog")
    before = {user["meta_user_id"]: user for user in caller.users(partner)}
    unseen = next(p["id"] for p in known["people"] if not p["has_access"])
    robot = known["employee_system_user"]["id"]
    joined: list[Json] = [
        caller.meta.mutate("join_group", person=person, assets=assets, tasks=tasks)
        for person, assets, tasks in (
            (both, [page["id"], catalog], ["ANALYZE", "NEW_TASK"]),
            (both, [page["id"]], ["MODERATE"]),
            (robot, [catalog], ["ADVERTISE"]),
            (unseen, [catalog], ["ADVERTISE"]),
        )
    ]
    caller.meta.mutate("move_to_group", person=mover, asset=page["id"])
    job = complete_check(caller, partner)

    assert job["counts"]["removed"] == 0
    assert (job["counts"]["added"], job["counts"]["changed"]) == (1, 3)
    now_both, moved = caller.user(partner, both), caller.user(partner, mover)
    assert ways(now_both)[page["id"], "direct"] == ways(before[both])[page["id"], "direct"]
    assert ways(now_both)[page["id"], "asset_group"] == ["ANALYZE", "MODERATE", "NEW_TASK"]
    # No documented edge of Meta returns the tasks on catalogs in groups.
    assert ways(now_both)[catalog, "asset_group"] == []
    assert now_both["asset_count"] == len({asset for asset, _ in ways(now_both)})
    assert (moved["id"], moved["state"]) == (before[mover]["id"], "active")
    assert (page["id"], "direct") not in ways(moved)
    newcomer = caller.user(partner, unseen)

    for one in joined:
        caller.meta.mutate("leave_group", person=one["person"], group=one["group"])
    job = complete_check(caller, partner)

    assert job["counts"]["removed"] == 1
    gone = caller.user(partner, unseen)
    assert (gone["id"], gone["state"], gone["grants"]) == (newcomer["id"], "removed", [])
    assert ways(caller.user(partner, both)) == ways(before[both])


@pytest.mark.parametrize("stack", ["embedded"], indirect=True)
@pytest.mark.parametrize(
    ("match", "edge"),
    [
        ({"edge": "business_asset_groups"}, "business_asset_groups"),
        ({"edge": "assigned_business_asset_groups"}, "assigned_business_asset_groups"),
        ({"edge": "contained_adaccounts"}, "contained_adaccounts"),
    ],
)
@pytest.mark.nightly
def test_hidden_groups_remove_no_user(caller: Caller, match: dict[str, str], edge: str) -> None:
    """Assert that the check is partial and names the edge.

    The next complete check removes users who left.
    """
    _, partners = caller.discover()
    partner = caller.connected(first_with(partners, "agency"))
    known = caller.meta.partner(partner["meta_business_id"])
    through = caller.user(partner, only_through_a_group(known))
    leaver = assigned_to(known, "page", 1)[1][0]
    caller.meta.mutate("leave", person=leaver)
    caller.meta.fault(match, REFUSED)
    if edge.startswith("contained"):
        # Read by a call of its own only where the group's row does not include it.
        caller.meta.fault({"expands": edge}, REFUSED)

    job = caller.check(partner)

    assert (job["partial"], job["counts"]["removed"], job["counts"]["changed"]) == (True, 0, 0)
    assert {(item["code"], item["edge"]) for item in job["warnings"]} == {("edge_refused", edge)}
    kept = caller.user(partner, through["meta_user_id"])
    assert (kept["id"], kept["state"], kept["grants"]) == (
        through["id"],
        "active",
        through["grants"],
    )
    assert caller.user(partner, leaver)["state"] == "active"

    caller.meta.heal()
    assert complete_check(caller, partner)["counts"]["removed"] == 1


@pytest.mark.parametrize("stack", ["embedded"], indirect=True)
@pytest.mark.parametrize(
    ("switches", "remembers"),
    [
        ({"refused_expansion": "omit", "business_argument_in_expansion": False}, False),
        ({"refused_expansion": "fail"}, True),
        ({"empty_expansion": "empty"}, None),
    ],
)
@pytest.mark.nightly
def test_groups_are_read_whichever_expansion_meta_supports(
    caller: Caller, switches: dict[str, Any], remembers: bool | None
) -> None:
    """Assert that extra calls read missing data; a refused expansion is not tried again."""
    _, partners = caller.discover()
    partner = caller.connected(first_with(partners, "agency"))
    caller.meta.switch(**switches)
    if remembers:
        # A field that does not exist is code 100, which is remembered for this edge alone.
        caller.meta.fault({"expands": "contained_pixels"}, {"error": {"code": 100}})

    costs = []
    for _ in range(2):
        caller.meta.forget_calls()
        complete_check(caller, partner)
        costs.append(caller.meta.calls())

    first, second = (cost["http_requests"] for cost in costs)
    assert first > second if remembers else first == second
    if remembers:
        assert costs[0]["by_error"]
        assert costs[1]["by_error"] == {}


@pytest.mark.parametrize("stack", ["embedded"], indirect=True)
def test_groups_without_shared_assets_are_not_read(caller: Caller) -> None:
    """Assert that neither their assets nor their members are requested."""
    _, partners = caller.discover()
    partner = caller.connected(first_with(partners, "agency"))
    known = caller.meta.partner(partner["meta_business_id"])
    (group,) = known["asset_groups"]
    caller.meta.mutate("leave", person=group["members"][0])
    for asset in group["assets"]:
        caller.meta.mutate("unshare", partner=known["id"], asset=asset)
    own = [asset["id"] for asset in known["unshared_assets"]]
    caller.meta.mutate("join_group", person=known["people"][0]["id"], assets=own)
    caller.check(partner)
    caller.meta.forget_calls()

    complete_check(caller, partner)

    by_edge = caller.meta.calls()["by_edge"]
    assert by_edge["business_asset_groups"] == 1
    assert "assigned_business_asset_groups" not in by_edge
    assert not [edge for edge in by_edge if edge.startswith("contained")]
