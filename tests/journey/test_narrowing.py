"""A token that sees less than it did: nobody is removed until somebody says that it is meant."""

import json
from collections.abc import Callable

import pytest

from tests.journey import truth
from tests.journey.caller import Caller, first_with
from tests.journey.meta import Json, Meta

pytestmark = pytest.mark.by_day("separate")

Narrowing = Callable[[Meta, Json], None]


def lose_a_scope(meta: Meta, known: Json) -> None:
    """The admin makes do with one permission less."""
    meta.mutate("remove_scope", partner=known["id"], scope="pages_read_engagement")


def lose_the_role(meta: Meta, known: Json) -> None:
    """The token's system user is demoted."""
    meta.mutate("downgrade_system_user", partner=known["id"])


def lose_an_asset(meta: Meta, known: Json) -> None:
    """A shared ad account is taken from the system user."""
    account = next(one["id"] for one in known["shared_assets"] if one["type"] == "ad_account")
    meta.mutate("change_tasks", person=known["system_user"]["id"], asset=account, tasks=[])


def lose_a_page(meta: Meta, known: Json) -> None:
    """A shared Page is taken from the system user: then Meta does not say who else is on it."""
    page = next(one["id"] for one in known["shared_assets"] if one["type"] == "page")
    meta.mutate("change_tasks", person=known["system_user"]["id"], asset=page, tasks=[])


def lose_the_catalogs(meta: Meta, known: Json) -> None:
    """Without this permission Meta shows none, though they are shared as before."""
    meta.mutate("remove_scope", partner=known["id"], scope="catalog_management")


def catalogs(caller: Caller, partner: Json) -> list[Json]:
    """What the API shows of them, with how many people reach each."""
    assets = caller.everything(f"/v1/partners/{partner['id']}/assets")
    return [asset for asset in assets if asset["type"] == "product_catalog"]


def narrowed(caller: Caller, partner: Json, narrow: Narrowing) -> tuple[str, list[str]]:
    """Somebody leaves and the token sees less; who left, and what the token says of itself."""
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
    told: list[str] = caller.get(f"/v1/partners/{partner['id']}/token")["narrowed"]
    assert told
    shown = caller.partner(partner)
    assert shown["onboarding_status"] == "needs_attention"
    assert [one["detail"] for one in shown["attention_reasons"]] == told
    return leaver, told


def accept(caller: Caller, partner: Json, told: list[str]) -> None:
    """Say that it is meant; that is on record, and cannot be said twice."""
    path = f"/v1/partners/{partner['id']}/token/accept-capabilities"
    answer = caller.ask("POST", path, json={"narrowed": told})
    assert (answer.status_code, answer.json()["narrowed"]) == (200, [])
    assert caller.partner(partner)["onboarding_status"] == "onboarded"
    event = caller.get("/v1/audit-events", page_size=1)["items"][0]
    assert (event["action"], event["subject"]) == ("capabilities.accepted", partner["id"])
    assert event["details"] == {"narrowed": told}
    again = caller.ask("POST", path)
    assert (again.status_code, again.json()["code"]) == (409, "nothing_narrowed")


@pytest.mark.parametrize(
    ("stack", "narrow"),
    [("embedded", lose_a_scope), ("separate", lose_the_role), ("embedded", lose_an_asset)],
    indirect=["stack"],
)
def test_nobody_is_removed_until_a_narrower_view_is_accepted(
    caller: Caller, narrow: Narrowing
) -> None:
    """However often it is checked; once it is accepted, who left is removed."""
    _, partners = caller.discover()
    partner = caller.connected(first_with(partners, "agency"))
    leaver, told = narrowed(caller, partner, narrow)
    assert caller.check(partner)["partial"] is True
    assert caller.user(partner, leaver)["state"] == "active"

    accept(caller, partner, told)
    job = caller.check(partner)

    assert (job["partial"], job["warnings"], job["counts"]["removed"]) == (False, [], 1)
    assert caller.user(partner, leaver)["state"] == "removed"
    # Each is told once, however often it is seen.
    assert caller.health_changes(partner) == [
        ("healthy", "insufficient"),
        ("insufficient", "healthy"),
    ]
    known = caller.meta.partner(partner["meta_business_id"])
    assert truth.shown_users(caller.users(partner)) == truth.users(known)


@pytest.mark.parametrize("stack", ["embedded", "separate"], indirect=True)
def test_what_is_accepted_to_be_out_of_sight_stays_and_everything_else_is_judged_again(
    caller: Caller,
) -> None:
    """Catalogs that their owner still shares stay, with everybody who reaches them."""
    _, partners = caller.discover()
    partner = caller.connected(first_with(partners, "agency"))
    shown = catalogs(caller, partner)
    leaver, told = narrowed(caller, partner, lose_the_catalogs)

    accept(caller, partner, told)
    job = caller.check(partner)

    assert (job["partial"], job["counts"]["removed"]) == (False, 1)
    assert {warning["code"] for warning in job["warnings"]} == {"out_of_sight"}
    assert caller.user(partner, leaver)["state"] == "removed"
    true = truth.users(caller.meta.partner(partner["meta_business_id"]))
    assert truth.shown_users(caller.users(partner)) == true
    assert catalogs(caller, partner) == shown != []

    # What comes into sight again is read again, and can be hidden again only by somebody's word.
    caller.meta.mutate("restore_token", partner=partner["meta_business_id"])
    seen = caller.check(partner)
    assert (seen["partial"], seen["warnings"]) == (False, [])
    _, told_again = narrowed(caller, partner, lose_the_catalogs)
    assert told_again == told


@pytest.mark.parametrize("stack", ["embedded"], indirect=True)
@pytest.mark.nightly
def test_whoever_reaches_what_is_out_of_sight_through_a_group_stays(caller: Caller) -> None:
    """The group is shown without the catalog that nobody is shown any more."""
    _, partners = caller.discover()
    partner = caller.connected(first_with(partners, "agency"))
    known = caller.meta.partner(partner["meta_business_id"])
    catalog = next(one["id"] for one in known["shared_assets"] if one["type"] == "product_catalog")
    person = next(one["id"] for one in known["people"] if not one["has_access"])
    caller.meta.mutate("join_group", person=person, assets=[catalog], tasks=["ADVERTISE"])
    caller.check(partner)
    leaver, told = narrowed(caller, partner, lose_the_catalogs)
    accept(caller, partner, told)

    job = caller.check(partner)

    assert (job["partial"], job["counts"]["removed"]) == (False, 1)
    assert caller.user(partner, leaver)["state"] == "removed"
    kept = caller.user(partner, person)
    assert (kept["state"], [one["via"] for one in kept["grants"]]) == ("active", ["asset_group"])


@pytest.mark.parametrize("stack", ["embedded"], indirect=True)
def test_a_list_that_was_cut_short_is_no_fault_of_the_token(caller: Caller) -> None:
    """The check is partial, and the partner is onboarded as it was."""
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
def test_a_token_that_lives_again_is_noticed_by_a_check_for_updates(caller: Caller) -> None:
    """Nobody has to wait for its daily check."""
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
def test_a_page_that_says_nothing_any_more_can_be_accepted_too(caller: Caller) -> None:
    """It is listed, but Meta refuses to say who is on it: its people stay as they were."""
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
def test_a_view_that_comes_back_needs_nobodys_word(caller: Caller) -> None:
    """With its permission the token sees as much as before, and removals work by themselves."""
    _, partners = caller.discover()
    partner = caller.connected(first_with(partners, "agency"))
    leaver, _ = narrowed(caller, partner, lose_the_catalogs)
    caller.meta.mutate("restore_token", partner=partner["meta_business_id"])

    job = caller.check(partner)

    assert (job["partial"], job["counts"]["removed"]) == (False, 1)
    assert caller.user(partner, leaver)["state"] == "removed"
    assert caller.get(f"/v1/partners/{partner['id']}/token")["narrowed"] == []
