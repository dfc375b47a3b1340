"""Who could not be seen is not who left: a partial read removes nobody."""

from collections.abc import Callable

import pytest

from tests.journey import truth
from tests.journey.caller import Caller, first_with
from tests.journey.meta import Json, Meta

pytestmark = pytest.mark.by_day("embedded")

REFUSED = {"error": {"code": 200, "message": "(#200) Permissions error"}}


def narrow_the_token(meta: Meta, business_id: str) -> None:
    """Its admin narrows the token to some of the shared assets."""
    meta.mutate("narrow_scopes", partner=business_id)


def take_a_scope_away(meta: Meta, business_id: str) -> None:
    """Without this scope Meta shows no catalog, and says nothing."""
    meta.mutate("remove_scope", partner=business_id, scope="catalog_management")


def let_the_ad_accounts_lapse(meta: Meta, _business_id: str) -> None:
    """Meta's rule of thirty days: `client_ad_accounts` is empty."""
    meta.switch(client_ad_accounts_lapsed=True)


def test_an_asset_that_cannot_be_read_keeps_its_people(caller: Caller) -> None:
    """One refused asset makes the check partial and removes nobody; the next whole one does."""
    _, partners = caller.discover()
    partner = caller.connected(first_with(partners, "agency"))
    known = caller.meta.partner(partner["meta_business_id"])
    page = next(asset for asset in known["shared_assets"] if asset["type"] == "page")
    leaver = next(row["id"] for row in page["people"] if row["via"] == "direct")
    before = caller.user(partner, leaver)
    match = {"edge": "assigned_users", "path_prefix": page["id"]}
    caller.meta.fault(match, REFUSED)
    caller.meta.mutate("leave", person=leaver)

    job = caller.check(partner)

    assert job["partial"] is True
    assert job["counts"]["removed"] == 0
    warning = next(item for item in job["warnings"] if item["edge"] == "assigned_users")
    assert warning["code"] == "asset_refused"
    assert page["id"] in warning["detail"]
    kept = caller.user(partner, leaver)
    assert (kept["state"], kept["grants"]) == ("active", before["grants"])
    shown = caller.partner(partner)
    assert shown["data_as_of"] < shown["last_synced_at"]

    caller.meta.heal()
    job = caller.check(partner)
    assert (job["partial"], job["warnings"]) == (False, [])
    assert job["counts"]["removed"] == 1
    gone = caller.user(partner, leaver)
    assert (gone["id"], gone["state"]) == (before["id"], "removed")


def test_refused_people_keep_their_facts(caller: Caller) -> None:
    """Where Meta hides the people edges, known mail addresses and roles stay as they were."""
    _, partners = caller.discover()
    partner = caller.connected(first_with(partners, "agency"))
    users = truth.shown_users(caller.users(partner))
    caller.meta.fault({"edge": "business_users"}, REFUSED)
    caller.meta.fault({"edge": "system_users"}, REFUSED)

    job = caller.check(partner)

    assert job["partial"] is True
    # None: nor is it known any more whether the token's own system user has its role.
    assert {item["edge"] for item in job["warnings"]} == {"business_users", "system_users", None}
    assert job["counts"]["unchanged"] == len(users)
    assert truth.shown_users(caller.users(partner)) == users


@pytest.mark.parametrize("stack", ["embedded"], indirect=True)
@pytest.mark.parametrize("shrink", [narrow_the_token, take_a_scope_away, let_the_ad_accounts_lapse])
def test_a_view_that_shrank_without_a_word_removes_nobody(
    caller: Caller, shrink: Callable[[Meta, str], None]
) -> None:
    """A token that is shown less than before is no proof that anyone left."""
    _, partners = caller.discover()
    partner = caller.connected(first_with(partners, "agency"))
    users = truth.shown_users(caller.users(partner))
    shrink(caller.meta, partner["meta_business_id"])

    job = caller.ended(caller.start_check(partner))

    assert truth.shown_users(caller.users(partner)) == users
    assert job["counts"]["removed"] == 0
    assert job["status"] in {"failed", "halted"} or job["partial"] is True, job


def test_partners_are_not_retired_by_a_refused_list(caller: Caller) -> None:
    """A refused side keeps every partner; a whole read retires; a new share revives the same."""
    integration, partners = caller.discover()
    partner = first_with(partners, "agency")
    business_id = partner["meta_business_id"]
    caller.meta.fault({"edge": "agencies"}, REFUSED)
    caller.meta.mutate("end_partnership", partner=business_id)

    job = caller.check(integration)

    assert job["partial"] is True
    assert [item["edge"] for item in job["warnings"]] == ["agencies"]
    assert job["counts"]["removed"] == 0
    assert {item["presence"] for item in caller.partners().values()} == {"listed"}
    still_both = caller.partners()[first_with(partners, "both")["meta_business_id"]]
    assert still_both["relationship"] == "both"

    caller.meta.heal()
    job = caller.check(integration)
    assert (job["partial"], job["counts"]["removed"]) == (False, 1)
    assert caller.partner(partner)["presence"] == "no_longer_shared"
    assert set(caller.partners(presence="listed")) == set(partners) - {business_id}

    caller.meta.mutate("share", partner=business_id)
    assert caller.check(integration)["counts"]["removed"] == 0
    revived: Json = caller.partners(presence="listed")[business_id]
    assert revived["id"] == partner["id"]


EMPTY = {"http": 200, "body": '{"data":[],"summary":{"total_count":0}}'}


@pytest.mark.parametrize("stack", ["embedded"], indirect=True)
def test_a_listing_that_shrank_without_a_word_removes_nobody(caller: Caller) -> None:
    """When agencies come back empty the partner is shown as not listed, and its people stay."""
    integration, partners = caller.discover()
    partner = caller.connected(first_with(partners, "agency"))
    users = truth.shown_users(caller.users(partner))
    caller.meta.fault({"edge": "agencies", "path_prefix": caller.meta.host()["id"]}, EMPTY)

    caller.check(integration)
    caller.settle(partner)

    assert caller.partner(partner)["presence"] == "no_longer_shared"
    assert truth.shown_users(caller.users(partner)) == users

    caller.meta.heal()
    caller.check(integration)
    assert caller.partner(partner)["presence"] == "listed"


@pytest.mark.parametrize("stack", ["embedded"], indirect=True)
def test_an_owner_that_finds_nothing_proves_nothing(caller: Caller) -> None:
    """“Not found” is also what Meta says of what it hides: the share stays, the job is partial."""
    _, partners = caller.discover()
    partner = caller.connected(first_with(partners, "agency"))
    users = truth.shown_users(caller.users(partner))
    let_the_ad_accounts_lapse(caller.meta, partner["meta_business_id"])
    gone = {"error": {"code": 100, "error_subcode": 33, "message": "Unsupported get request."}}
    caller.meta.fault({"edge": "agencies", "path_prefix": "act_"}, gone)

    job = caller.check(partner)

    assert job["partial"] is True
    assert {item["code"] for item in job["warnings"]} == {"view_shrank", "token_narrowed"}
    assert truth.shown_users(caller.users(partner)) == users


@pytest.mark.parametrize("stack", ["embedded"], indirect=True)
def test_a_token_that_cannot_be_inspected_proves_nothing(caller: Caller) -> None:
    """Where Meta shows neither the token's inspection nor its permissions, nobody is removed."""
    _, partners = caller.discover()
    partner = caller.connected(first_with(partners, "agency"))
    known = caller.meta.partner(partner["meta_business_id"])
    leaver = next(person["id"] for person in known["people"] if person["has_access"])
    for edge in ("debug_token", "permissions"):
        caller.meta.fault({"edge": edge}, REFUSED)
    caller.meta.mutate("leave", person=leaver)

    job = caller.check(partner)

    assert {item["code"] for item in job["warnings"]} == {"token_not_inspected"}
    assert (job["partial"], job["counts"]["removed"]) == (True, 0)


@pytest.mark.parametrize("stack", ["embedded"], indirect=True)
def test_a_dry_run_leaves_the_checklist_of_a_connected_partner(caller: Caller) -> None:
    """What some other token lacks says nothing about the partner that is connected."""
    _, partners = caller.discover()
    partner = caller.connected(first_with(partners, "agency"))
    path = f"/v1/partners/{partner['id']}/onboarding"
    before = caller.get(path)
    caller.dry_run(partner, caller.meta.token(partner["meta_business_id"], "missing_scope"))
    assert caller.get(path) == before


@pytest.mark.parametrize("stack", ["embedded"], indirect=True)
def test_a_bad_token_handed_in_later_leaves_the_good_one(caller: Caller) -> None:
    """A good token that is still being proven is not called off by a worse one behind it."""
    _, partners = caller.discover()
    partner = first_with(partners, "agency")
    path = f"/v1/partners/{partner['id']}/token"
    proofs = []
    for kind in ("good", "expired"):
        token = caller.meta.token(partner["meta_business_id"], kind)
        proofs.append(caller.ask("PUT", path, json={"access_token": token}).headers["location"])
    verdicts = [caller.proven(proof)["verdict"] for proof in proofs]
    assert verdicts == ["connectable", "not_connectable"]
    caller.settle(partner)
    assert caller.partner(partner)["onboarding_status"] == "onboarded"
