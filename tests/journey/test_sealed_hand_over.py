"""The client seals: the API never sees the token, and the worker opens it all the same."""

import base64

import pytest

from tests.journey.caller import Caller, checks, first_with

pytestmark = pytest.mark.by_day("embedded")


def test_a_token_sealed_by_the_client_connects(caller: Caller) -> None:
    """Sealed for the current key with any libsodium, tried first and then connected."""
    _, partners = caller.discover()
    partner = first_with(partners, "agency")
    good = caller.sealed(caller.meta.token(partner["meta_business_id"]))

    path = f"/v1/partners/{partner['id']}/token-validations"
    tried = caller.ask("POST", path, json=good, headers={"Prefer": "wait=30"}).json()
    assert tried["verdict"] == "connectable"
    assert caller.partner(partner)["onboarding_status"] == "pending_onboarding"

    assert caller.connect_with(partner, good)["verdict"] == "connectable"
    assert caller.partner(partner)["onboarding_status"] == "onboarded"
    token = caller.get(f"/v1/partners/{partner['id']}/token")
    assert token["key_id"] == good["key_id"]
    caller.settle(partner)
    assert caller.users(partner) != []


def test_what_is_sealed_is_checked_like_what_is_not(caller: Caller) -> None:
    """A bad token, and something that is no token, are told apart inside a sealed box too."""
    _, partners = caller.discover()
    partner = first_with(partners, "agency")
    revoked = caller.meta.token(partner["meta_business_id"], "revoked")
    expected = {
        revoked: ("live", "token_revoked"),
        "not a token": ("format", "token_has_white_space"),
        "": ("format", "token_empty"),
    }
    for text, (check_id, code) in expected.items():
        validation = caller.connect_with(partner, caller.sealed(text or " "))
        assert validation["verdict"] == "not_connectable"
        assert checks(validation)[check_id]["code"] == code
        assert checks(validation)[check_id]["remedy"]

    noise = base64.b64encode(b"x" * 200).decode()
    key_id = caller.get("/v1/sealing-keys/current")["key_id"]
    validation = caller.connect_with(partner, {"sealed_token": noise, "key_id": key_id})
    assert validation["verdict"] == "not_connectable"
    assert checks(validation)["format"]["status"] == "fail"
    assert caller.partner(partner)["onboarding_status"] == "pending_onboarding"
