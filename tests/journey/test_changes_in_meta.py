"""Changes in Meta, shown after the next check for updates under stable ids."""

import pytest

from tests.journey import truth
from tests.journey.caller import Caller, first_with
from tests.journey.meta import Json

pytestmark = pytest.mark.by_day("embedded")


@pytest.fixture
def partner(caller: Caller) -> Json:
    """Connected agency that has been checked once."""
    _, partners = caller.discover()
    return caller.connected(first_with(partners, "agency"))


def test_joined_left_and_changed_people_are_counted_and_shown(
    caller: Caller, partner: Json
) -> None:
    """Assert that a join, a leave, new tasks, a new role and a new name count once each."""
    business_id = partner["meta_business_id"]
    before = caller.meta.partner(business_id)
    of_person = [
        user_id for user_id, user in truth.users(before).items() if user["kind"] == "person"
    ]
    leaver, retasked, promoted, renamed = of_person[:4]
    leaver_before = caller.user(partner, leaver)
    asset = next(iter(truth.users(before)[retasked]["grants"]))

    joined = caller.meta.mutate("join", partner=business_id, name="Nova Newcomer")["person"]
    caller.meta.mutate("leave", person=leaver)
    caller.meta.mutate("change_tasks", person=retasked, asset=asset, tasks=["ANALYZE"])
    caller.meta.mutate("change_role", person=promoted, role="FINANCE_EDITOR")
    caller.meta.mutate("rename", id=renamed, name="Renata Renamed")
    job = caller.check(partner)

    after = caller.meta.partner(business_id)
    assert job["counts"] == truth.counts(before, after)
    assert job["counts"] == {
        "seen": len(truth.users(after)),
        "added": 1,
        "changed": 3,
        "removed": 1,
        "unchanged": len(truth.users(after)) - 4,
    }
    assert truth.shown_users(caller.users(partner)) == truth.users(after)
    assert caller.user(partner, joined)["name"] == "Nova Newcomer"
    assert caller.user(partner, renamed)["name"] == "Renata Renamed"
    assert caller.user(partner, promoted)["role"] == "FINANCE_EDITOR"
    left = caller.user(partner, leaver)
    assert (left["id"], left["state"]) == (leaver_before["id"], "removed")
    assert left["removed_at"] is not None
    assert (left["grants"], left["asset_count"]) == ([], 0)
    assert left["first_seen_at"] == leaver_before["first_seen_at"]
    assert caller.partner(partner)["user_count"] == len(truth.users(after))


def test_user_who_loses_all_assets_and_regains_one_keeps_the_id(
    caller: Caller, partner: Json
) -> None:
    """Assert that the user is removed, and active again under the same id."""
    meta = caller.meta
    known = meta.partner(partner["meta_business_id"])
    person, user = next(
        (user_id, user)
        for user_id, user in truth.users(known).items()
        if user["kind"] == "person" and len(user["grants"]) == 1
    )
    asset, grant = next(iter(user["grants"].items()))
    before = caller.user(partner, person)

    meta.mutate("change_tasks", person=person, asset=asset, tasks=[])
    assert caller.check(partner)["counts"]["removed"] == 1
    assert caller.user(partner, person)["state"] == "removed"
    assert (
        caller.partner(partner)["people_without_access_count"] == truth.people_not_stored(known) + 1
    )

    meta.mutate("change_tasks", person=person, asset=asset, tasks=grant["tasks"])
    assert caller.check(partner)["counts"]["added"] == 1
    back = caller.user(partner, person)
    assert (back["id"], back["state"], back["removed_at"]) == (before["id"], "active", None)
    assert back["first_seen_at"] == before["first_seen_at"]
    assert truth.shown_users([back]) == truth.shown_users([before])


def test_unshared_asset_removes_its_grants(caller: Caller, partner: Json) -> None:
    """Assert that the asset is not listed, and that users who had only this asset are removed."""
    business_id = partner["meta_business_id"]
    before = caller.meta.partner(business_id)
    asset = next(
        asset["id"]
        for asset in before["shared_assets"]
        if any(list(user["grants"]) == [asset["id"]] for user in truth.users(before).values())
    )

    caller.meta.mutate("unshare", partner=business_id, asset=asset)
    job = caller.check(partner)

    after = caller.meta.partner(business_id)
    assert job["counts"] == truth.counts(before, after)
    assert job["counts"]["removed"] >= 1
    assert truth.shown_users(caller.users(partner)) == truth.users(after)
    shared = caller.everything(f"/v1/partners/{partner['id']}/assets")
    assert truth.shown_assets(shared) == truth.assets(after)
    assert caller.partner(partner)["shared_asset_counts"] == truth.asset_counts(after)


def test_revoked_token_fails_the_check_and_a_new_token_recovers(
    caller: Caller, partner: Json
) -> None:
    """Assert that the check fails with the next action, and a new token repairs everything."""
    business_id = partner["meta_business_id"]
    users = caller.users(partner)
    caller.meta.mutate("revoke_token", partner=business_id)

    job = caller.ended(caller.start_check(partner))

    assert (job["status"], job["status_label"]) == ("failed", "Not completed")
    error = job["error"]
    assert (error["code"], error["class"]) == ("token_dead", "configuration")
    assert error["user_action"] == "reconnect_token"
    assert (error["meta"]["code"], error["meta"]["subcode"]) == (190, 460)
    ill = caller.partner(partner)
    assert ill["onboarding_status"] == "needs_attention"
    assert ill["onboarding_status_label"] == "Needs attention"
    assert caller.get(f"/v1/partners/{partner['id']}/token")["health"] == "invalid"
    assert caller.users(partner) == users

    renewed = caller.meta.mutate("new_token", partner=business_id)["token"]
    assert caller.connect(partner, renewed)["verdict"] == "connectable"
    assert caller.partner(partner)["onboarding_status"] == "onboarded"
    assert caller.get(f"/v1/partners/{partner['id']}/token")["version"] > 1
    caller.settle(partner)
    assert caller.check(partner)["counts"]["unchanged"] == len(users)
