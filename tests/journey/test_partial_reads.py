"""A partial read, which removes no user."""

from collections.abc import Callable

import pytest

from tests.journey import truth
from tests.journey.caller import Caller, first_with
from tests.journey.meta import Json, Meta

pytestmark = pytest.mark.by_day("embedded")

REFUSED = {"error": {"code": 200, "message": "(#200) Permissions error"}}


def narrow_the_token(meta: Meta, business_id: str) -> None:
    """Limit the token to some of the shared assets."""
    meta.mutate("narrow_scopes", partner=business_id)


def take_a_scope_away(meta: Meta, business_id: str) -> None:
    """Remove a scope without which Meta returns no catalog and no error."""
    meta.mutate("remove_scope", partner=business_id, scope="catalog_management")


def let_the_ad_accounts_lapse(meta: Meta, _business_id: str) -> None:
    """Let the thirty days of Meta pass, after which `client_ad_accounts` is empty."""
    meta.switch(client_ad_accounts_lapsed=True)


def test_unreadable_asset_keeps_its_users(caller: Caller) -> None:
    """Assert that a refused asset makes the check partial.

    Only the next complete check removes users.
    """
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


def test_users_keep_their_facts_when_people_edges_are_refused(caller: Caller) -> None:
    """Assert that known email addresses and roles stay."""
    _, partners = caller.discover()
    partner = caller.connected(first_with(partners, "agency"))
    users = truth.shown_users(caller.users(partner))
    caller.meta.fault({"edge": "business_users"}, REFUSED)
    caller.meta.fault({"edge": "system_users"}, REFUSED)

    job = caller.check(partner)

    assert job["partial"] is True
    # The role of the token's own system user is unknown now, too.
    assert {item["edge"] for item in job["warnings"]} == {"business_users", "system_users", None}
    assert job["counts"]["unchanged"] == len(users)
    assert truth.shown_users(caller.users(partner)) == users


@pytest.mark.parametrize("stack", ["embedded"], indirect=True)
@pytest.mark.parametrize("shrink", [narrow_the_token, take_a_scope_away, let_the_ad_accounts_lapse])
def test_silently_reduced_view_removes_no_user(
    caller: Caller, shrink: Callable[[Meta, str], None]
) -> None:
    """Assert that a token that sees less than before is no evidence that a user left."""
    _, partners = caller.discover()
    partner = caller.connected(first_with(partners, "agency"))
    users = truth.shown_users(caller.users(partner))
    shrink(caller.meta, partner["meta_business_id"])

    job = caller.ended(caller.start_check(partner))

    assert truth.shown_users(caller.users(partner)) == users
    assert job["counts"]["removed"] == 0
    assert job["status"] in {"failed", "halted"} or job["partial"] is True, job


def test_refused_list_retires_no_partner(caller: Caller) -> None:
    """Assert that a complete read retires a partner, and a new share restores the same partner."""
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
def test_silently_shortened_partner_list_removes_no_user(caller: Caller) -> None:
    """Assert that a partner missing in the list is shown as not listed, and its users stay."""
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
def test_not_found_at_the_owner_keeps_the_share(caller: Caller) -> None:
    """Assert that the job is partial: Meta also returns “not found” for what it hides."""
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
def test_uninspectable_token_removes_no_user(caller: Caller) -> None:
    """Assert this where Meta refuses the token's inspection and its permissions."""
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
def test_dry_run_keeps_the_checklist_of_a_connected_partner(caller: Caller) -> None:
    """Assert that the dry run of another token does not describe the connected partner."""
    _, partners = caller.discover()
    partner = caller.connected(first_with(partners, "agency"))
    path = f"/v1/partners/{partner['id']}/onboarding"
    before = caller.get(path)
    caller.dry_run(partner, caller.meta.token(partner["meta_business_id"], "missing_scope"))
    assert caller.get(path) == before


@pytest.mark.parametrize("stack", ["embedded"], indirect=True)
def test_later_bad_token_does_not_cancel_a_good_one(caller: Caller) -> None:
    """Assert that a later bad token does not cancel the validation of a good one."""
    _, partners = caller.discover()
    partner = first_with(partners, "agency")
    path = f"/v1/partners/{partner['id']}/token"
    validations = []
    for kind in ("good", "expired"):
        token = caller.meta.token(partner["meta_business_id"], kind)
        validations.append(
            caller.ask("PUT", path, json={"access_token": token}).headers["location"]
        )
    verdicts = [caller.wait_for_validation(validation)["verdict"] for validation in validations]
    assert verdicts == ["connectable", "not_connectable"]
    caller.settle(partner)
    assert caller.partner(partner)["onboarding_status"] == "onboarded"
