"""A token that sees less than it did: nobody is removed until somebody says that it is meant."""

from collections.abc import Callable

import pytest

from tests.journey import truth
from tests.journey.caller import Caller, first_with
from tests.journey.meta import Json, Meta

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


def lose_the_catalogs(meta: Meta, known: Json) -> None:
    """Without this permission Meta shows none, though they are shared as before."""
    meta.mutate("remove_scope", partner=known["id"], scope="catalog_management")


def narrowed(caller: Caller, partner: Json, narrow: Narrowing) -> tuple[str, list[str]]:
    """Somebody leaves and the token sees less; who left, and what the token says of itself."""
    known = caller.meta.partner(partner["meta_business_id"])
    leaver = next(person["id"] for person in known["people"] if person["has_access"])
    narrow(caller.meta, known)
    caller.meta.mutate("leave", person=leaver)

    job = caller.check(partner)

    assert (job["partial"], job["counts"]["removed"]) == (True, 0)
    assert "token_narrowed" in {warning["code"] for warning in job["warnings"]}
    assert caller.user(partner, leaver)["state"] == "active"
    told: list[str] = caller.get(f"/v1/partners/{partner['id']}/token")["narrowed"]
    assert len(told) == 1
    return leaver, told


def accept(caller: Caller, partner: Json, told: list[str]) -> None:
    """Say that it is meant; that is on record, and cannot be said twice."""
    path = f"/v1/partners/{partner['id']}/token/accept-capabilities"
    answer = caller.ask("POST", path, json={"narrowed": told})
    assert (answer.status_code, answer.json()["narrowed"]) == (200, [])
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
    known = caller.meta.partner(partner["meta_business_id"])
    assert truth.shown_users(caller.users(partner)) == truth.users(known)


@pytest.mark.parametrize("stack", ["embedded"], indirect=True)
def test_what_is_accepted_to_be_out_of_sight_is_not_gone(caller: Caller) -> None:
    """Catalogs that their owner still shares stay, with everybody who reaches them."""
    _, partners = caller.discover()
    partner = caller.connected(first_with(partners, "agency"))
    assets = caller.everything(f"/v1/partners/{partner['id']}/assets")
    users = truth.shown_users(caller.users(partner))
    leaver, told = narrowed(caller, partner, lose_the_catalogs)

    accept(caller, partner, told)
    caller.check(partner)

    still_there = truth.shown_users(caller.users(partner))
    true = truth.users(caller.meta.partner(partner["meta_business_id"]))
    assert {key: still_there[key] for key in true} == true
    assert still_there.keys() <= users.keys() == true.keys() | {leaver}
    assert caller.everything(f"/v1/partners/{partner['id']}/assets") == assets


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
