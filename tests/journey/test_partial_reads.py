"""Who could not be seen is not who left: a partial read removes nobody."""

from collections.abc import Callable

import pytest

from tests.journey import truth
from tests.journey.caller import Caller, first_with
from tests.journey.meta import Json, Meta

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
    account = next(asset for asset in known["shared_assets"] if asset["type"] == "ad_account")
    leaver = next(row["id"] for row in account["people"] if row["via"] == "direct")
    before = caller.user(partner, leaver)
    match = {"edge": "assigned_users", "path_prefix": f"act_{account['id']}"}
    caller.meta.fault(match, REFUSED)
    caller.meta.mutate("leave", person=leaver)

    job = caller.check(partner)

    assert job["partial"] is True
    assert job["counts"]["removed"] == 0
    warning = next(item for item in job["warnings"] if item["edge"] == "assigned_users")
    assert warning["code"] == "asset_refused"
    assert account["id"] in warning["detail"]
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
    assert {item["edge"] for item in job["warnings"]} == {"business_users", "system_users"}
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
