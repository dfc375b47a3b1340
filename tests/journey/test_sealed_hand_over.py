"""Tokens sealed by the client: the API cannot read them, and the worker opens them."""

import base64

import pytest

from tests.journey.caller import Caller, checks, first_with

pytestmark = pytest.mark.by_day("embedded")


def test_token_sealed_by_the_client_connects(caller: Caller) -> None:
    """Seal for the current key with libsodium, do a dry run, then connect."""
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


def test_sealed_token_gets_the_same_checks_as_a_plain_one(caller: Caller) -> None:
    """Assert that a bad token and a text that is no token are distinguished inside a sealed box."""
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
