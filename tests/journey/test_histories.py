"""Some random histories; `python -m tests.journey.histories` plays longer ones."""

import pytest

from tests.journey.caller import Caller, at_once, first_with, one
from tests.journey.histories import History

ROUNDS = 8


@pytest.mark.parametrize(
    ("stack", "seed"),
    [pytest.param("embedded", 1, marks=pytest.mark.nightly), ("separate", 2)],
    indirect=["stack"],
)
def test_complete_checks_of_random_histories_show_the_truth(caller: Caller, seed: int) -> None:
    """Assert also that partial checks lose no user, the feed has every change, and ids stay."""
    history = History(caller, seed)

    history.play(ROUNDS)

    assert history.wrong == []


@pytest.mark.parametrize("stack", ["embedded"], indirect=True)
def test_one_person_at_two_partners_is_two_partner_users(caller: Caller) -> None:
    """Assert that a person who leaves one partner stays a user of the other."""
    integration, partners = caller.discover()
    chosen = [first_with(partners, side) for side in ("agency", "client")]
    first, second = at_once(caller.connected, chosen)
    facts = {"name": "Ada Twofold", "email": "Ada.Twofold@example.com"}
    person, other = (
        caller.meta.mutate("join", partner=partner["meta_business_id"], **facts)["person"]
        for partner in (first, second)
    )
    caller.check(integration)

    found = caller.everything("/v1/partner-users", email="ada.twofold@example.com")
    assert len({user["id"] for user in found}) == 2
    assert {(user["partner_id"], user["meta_user_id"], user["state"]) for user in found} == {
        (first["id"], person, "active"),
        (second["id"], other, "active"),
    }

    caller.meta.mutate("leave", person=person)
    caller.check(integration)
    found = caller.everything("/v1/partner-users", email="ada.twofold@example.com")
    assert one(user for user in found if user["state"] == "active")["partner_id"] == second["id"]
    assert one(user for user in found if user["state"] == "removed")["partner_id"] == first["id"]
