"""A token that sees less than before: no user is removed until the reduction is accepted."""

import json
from collections.abc import Callable

import pytest

from tests.journey import truth
from tests.journey.caller import Caller, first_with
from tests.journey.meta import Json, Meta

pytestmark = pytest.mark.by_day("separate")

Narrowing = Callable[[Meta, Json], None]


def lose_a_scope(meta: Meta, known: Json) -> None:
    """Remove one scope from the token."""
    meta.mutate("remove_scope", partner=known["id"], scope="pages_read_engagement")


def lose_the_role(meta: Meta, known: Json) -> None:
    """Downgrade the token's system user."""
    meta.mutate("downgrade_system_user", partner=known["id"])


def lose_an_asset(meta: Meta, known: Json) -> None:
    """Remove a shared ad account from the system user."""
    account = next(one["id"] for one in known["shared_assets"] if one["type"] == "ad_account")
    meta.mutate("change_tasks", person=known["system_user"]["id"], asset=account, tasks=[])


def lose_a_page(meta: Meta, known: Json) -> None:
    """Remove a shared Page from the system user: Meta then hides the Page's other users."""
    page = next(one["id"] for one in known["shared_assets"] if one["type"] == "page")
    meta.mutate("change_tasks", person=known["system_user"]["id"], asset=page, tasks=[])


def lose_the_catalogs(meta: Meta, known: Json) -> None:
    """Remove the scope without which Meta returns no catalogs."""
    meta.mutate("remove_scope", partner=known["id"], scope="catalog_management")


def catalogs(caller: Caller, partner: Json) -> list[Json]:
    """Return the catalogs that the API shows, with their user counts."""
    assets = caller.everything(f"/v1/partners/{partner['id']}/assets")
    return [asset for asset in assets if asset["type"] == "product_catalog"]


def narrowed(caller: Caller, partner: Json, narrow: Narrowing) -> tuple[str, list[str]]:
    """Make a user leave and the token see less; return that user and the reported reductions."""
    known = caller.meta.partner(partner["meta_business_id"])
    people = {person["id"] for person in known["people"]}
    leaver = next(
        user_id
        for user_id, user in truth.users(known).items()
        if user_id in people
        and not any(grant["type"] == "product_catalog" for grant in user["grants"].values())
    )
    narrow(caller.meta, known)
    caller.meta.mutate("leave", person=leaver)

    job = caller.check(partner)

    assert (job["partial"], job["counts"]["removed"]) == (True, 0)
    assert "token_narrowed" in {warning["code"] for warning in job["warnings"]}
    assert caller.user(partner, leaver)["state"] == "active"
    reported: list[str] = caller.get(f"/v1/partners/{partner['id']}/token")["narrowed"]
    assert reported
    shown = caller.partner(partner)
    assert shown["onboarding_status"] == "needs_attention"
    assert [one["detail"] for one in shown["attention_reasons"]] == reported
    return leaver, reported


def accept(caller: Caller, partner: Json, reported: list[str]) -> None:
    """Accept the reduction; assert that it is audited and cannot be repeated."""
    path = f"/v1/partners/{partner['id']}/token/accept-capabilities"
    answer = caller.ask("POST", path, json={"narrowed": reported})
    assert (answer.status_code, answer.json()["narrowed"]) == (200, [])
    assert caller.partner(partner)["onboarding_status"] == "onboarded"
    event = caller.get("/v1/audit-events", page_size=1)["items"][0]
    assert (event["action"], event["subject"]) == ("capabilities.accepted", partner["id"])
    assert event["details"] == {"narrowed": reported}
    again = caller.ask("POST", path)
    assert (again.status_code, again.json()["code"]) == (409, "nothing_narrowed")


@pytest.mark.parametrize(
    ("stack", "narrow"),
    [("embedded", lose_a_scope), ("separate", lose_the_role), ("embedded", lose_an_asset)],
    indirect=["stack"],
)
def test_no_user_is_removed_until_the_reduction_is_accepted(
    caller: Caller, narrow: Narrowing
) -> None:
    """Assert that repeated checks remove no user, and the first one after the acceptance does."""
    _, partners = caller.discover()
    partner = caller.connected(first_with(partners, "agency"))
    leaver, reported = narrowed(caller, partner, narrow)
    assert caller.check(partner)["partial"] is True
    assert caller.user(partner, leaver)["state"] == "active"

    accept(caller, partner, reported)
    job = caller.check(partner)

    assert (job["partial"], job["warnings"], job["counts"]["removed"]) == (False, [], 1)
    assert caller.user(partner, leaver)["state"] == "removed"
    # Each reduction is reported once, however often a check sees it.
    assert caller.health_changes(partner) == [
        ("healthy", "insufficient"),
        ("insufficient", "healthy"),
    ]
    known = caller.meta.partner(partner["meta_business_id"])
    assert truth.shown_users(caller.users(partner)) == truth.users(known)


@pytest.mark.parametrize("stack", ["embedded", "separate"], indirect=True)
def test_accepted_hidden_assets_stay_and_all_others_are_compared_again(
    caller: Caller,
) -> None:
    """Assert that catalogs which their owner still shares stay, with all their users."""
    _, partners = caller.discover()
    partner = caller.connected(first_with(partners, "agency"))
    shown = catalogs(caller, partner)
    leaver, reported = narrowed(caller, partner, lose_the_catalogs)

    accept(caller, partner, reported)
    job = caller.check(partner)

    assert (job["partial"], job["counts"]["removed"]) == (False, 1)
    assert {warning["code"] for warning in job["warnings"]} == {"out_of_sight"}
    assert caller.user(partner, leaver)["state"] == "removed"
    true = truth.users(caller.meta.partner(partner["meta_business_id"]))
    assert truth.shown_users(caller.users(partner)) == true
    assert catalogs(caller, partner) == shown != []

    # Assets that are visible again are read again; hiding them needs a new acceptance.
    caller.meta.mutate("restore_token", partner=partner["meta_business_id"])
    seen = caller.check(partner)
    assert (seen["partial"], seen["warnings"]) == (False, [])
    _, reported_again = narrowed(caller, partner, lose_the_catalogs)
    assert reported_again == reported


@pytest.mark.parametrize("stack", ["embedded"], indirect=True)
@pytest.mark.nightly
def test_user_of_a_hidden_asset_through_a_group_stays(caller: Caller) -> None:
    """Assert that the group is shown without the catalog that Meta hides."""
    _, partners = caller.discover()
    partner = caller.connected(first_with(partners, "agency"))
    known = caller.meta.partner(partner["meta_business_id"])
    catalog = next(one["id"] for one in known["shared_assets"] if one["type"] == "product_catalog")
    person = next(one["id"] for one in known["people"] if not one["has_access"])
    caller.meta.mutate("join_group", person=person, assets=[catalog], tasks=["ADVERTISE"])
    caller.check(partner)
    leaver, reported = narrowed(caller, partner, lose_the_catalogs)
    accept(caller, partner, reported)

    job = caller.check(partner)

    assert (job["partial"], job["counts"]["removed"]) == (False, 1)
    assert caller.user(partner, leaver)["state"] == "removed"
    kept = caller.user(partner, person)
    assert (kept["state"], [one["via"] for one in kept["grants"]]) == ("active", ["asset_group"])


@pytest.mark.parametrize("stack", ["embedded"], indirect=True)
def test_truncated_list_does_not_narrow_the_token(caller: Caller) -> None:
    """Assert that the check is partial, and the partner stays onboarded."""
    _, partners = caller.discover()
    partner = caller.connected(first_with(partners, "agency"))
    known = caller.meta.partner(partner["meta_business_id"])
    page = next(one["id"] for one in known["shared_assets"] if one["type"] == "page")
    short = json.dumps({"data": [], "paging": {}, "summary": {"total_count": 5}})
    caller.meta.fault({"edge": "assigned_users", "path_prefix": page}, {"body": short})
    job = caller.check(partner)
    assert {one["code"] for one in job["warnings"]} == {"edge_incomplete"}
    assert caller.partner(partner)["onboarding_status"] == "onboarded"


@pytest.mark.parametrize("stack", ["embedded", "separate"], indirect=True)
@pytest.mark.nightly
def test_check_for_updates_notices_a_recovered_token(caller: Caller) -> None:
    """Assert that the recovery does not wait for the daily check."""
    _, partners = caller.discover()
    partner = caller.connected(first_with(partners, "agency"))
    token = caller.meta.token(partner["meta_business_id"])
    caller.meta.mutate("revoke_token", token=token)
    assert caller.ended(caller.start_check(partner))["status"] == "failed"
    assert caller.partner(partner)["onboarding_status"] == "needs_attention"
    caller.meta.mutate("restore_token", token=token)
    caller.check(partner)
    shown = caller.partner(partner)
    assert (shown["onboarding_status"], shown["attention_reasons"]) == ("onboarded", [])
    assert caller.health_changes(partner) == [("healthy", "invalid"), ("invalid", "healthy")]


@pytest.mark.parametrize("stack", ["embedded"], indirect=True)
@pytest.mark.nightly
def test_hidden_users_of_a_page_can_be_accepted(caller: Caller) -> None:
    """Assert that the Page is listed, but Meta refuses its users: they stay as they were."""
    _, partners = caller.discover()
    partner = caller.connected(first_with(partners, "agency"))
    users = truth.shown_users(caller.users(partner))
    lose_a_page(caller.meta, caller.meta.partner(partner["meta_business_id"]))
    job = caller.check(partner)
    assert {one["code"] for one in job["warnings"]} == {"asset_refused", "token_narrowed"}

    accept(caller, partner, caller.get(f"/v1/partners/{partner['id']}/token")["narrowed"])
    job = caller.check(partner)

    assert (job["partial"], job["counts"]["removed"]) == (False, 0)
    assert [one["code"] for one in job["warnings"]] == ["out_of_sight"]
    assert truth.shown_users(caller.users(partner)) == users


@pytest.mark.parametrize("stack", ["embedded"], indirect=True)
def test_restored_access_needs_no_acceptance(caller: Caller) -> None:
    """Assert that the token sees as much as before again, and removals work by themselves."""
    _, partners = caller.discover()
    partner = caller.connected(first_with(partners, "agency"))
    leaver, _ = narrowed(caller, partner, lose_the_catalogs)
    caller.meta.mutate("restore_token", partner=partner["meta_business_id"])

    job = caller.check(partner)

    assert (job["partial"], job["counts"]["removed"]) == (False, 1)
    assert caller.user(partner, leaver)["state"] == "removed"
    assert caller.get(f"/v1/partners/{partner['id']}/token")["narrowed"] == []
