"""What changes in Meta shows after the next check for updates, under the ids that were there."""

import pytest

from tests.journey import truth
from tests.journey.caller import Caller, first_with
from tests.journey.meta import Json

pytestmark = pytest.mark.by_day("embedded")


@pytest.fixture
def partner(caller: Caller) -> Json:
    """A connected agency that has been checked once."""
    _, partners = caller.discover()
    return caller.connected(first_with(partners, "agency"))


def test_people_who_come_go_and_change_are_counted_and_shown(caller: Caller, partner: Json) -> None:
    """Join, leave, new tasks, new role and new name each count once, and the truth is shown."""
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


def test_who_loses_every_asset_and_gets_one_back_is_the_same_user(
    caller: Caller, partner: Json
) -> None:
    """Without an asset a user is removed; with one again, active under the same id."""
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


def test_an_unshared_asset_takes_its_grants_along(caller: Caller, partner: Json) -> None:
    """After an asset is unshared it is not listed, and who had only that one is removed."""
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


def test_a_dead_token_is_told_and_a_new_one_recovers(caller: Caller, partner: Json) -> None:
    """Revoked in Meta: the check fails with what to do, and a new token puts everything right."""
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
