"""Tokens that a partner hands over by a link."""

import pytest

from tests.journey.caller import Caller, checks, first_with, wait_until
from tests.journey.canaries import files_of, search, tables_of
from tests.journey.meta import Json
from tests.journey.partner_side import CURRENT, PartnerSide, link_for, seen_by_creator
from tests.journey.stacks import Stack

pytestmark = pytest.mark.by_day("embedded")


def test_bad_token_is_explained_and_good_token_connects(stack: Stack, caller: Caller) -> None:
    """Hand over a bad token, then a good one.

    The bad one is rejected with each check and the next action. The good one onboards the partner
    and ends the code. Neither token nor code is in any stored or returned data.
    """
    _, partners = caller.discover()
    partner = first_with(partners, "agency")
    tokens = caller.meta.partner(partner["meta_business_id"])["tokens"]
    side = link_for(stack, caller, partner)
    assert side.ask("POST", "/open").status_code == 200

    refused = side.hand_over({"access_token": tokens["missing_scope"]})
    assert refused["verdict"] == "not_connectable"
    seen = side.seen()
    assert (seen["state"], seen["tries_left"]) == ("rejected", 4)
    assert seen["last_validation"] == refused
    assert checks(refused)["scopes_required"]["status"] == "fail"
    assert "Generate new token" in checks(refused)["scopes_required"]["remedy"]
    step = {each["id"]: each for each in seen["checklist"]}["token_generated"]
    assert step["status"] == "to_do"
    assert caller.partner(partner)["onboarding_status"] == "pending_onboarding"

    accepted = side.hand_over(caller.sealed(tokens["good"]))
    assert accepted["verdict"] == "connectable"
    assert seen_by_creator(caller, side)["state"] == "accepted"
    assert caller.partner(partner)["onboarding_status"] == "onboarded"
    ended = side.ask("PUT", "/token", json={"access_token": tokens["good"]})
    assert (ended.status_code, ended.json()["state"]) == (410, "accepted")
    caller.settle(partner)
    assert caller.users(partner) != []

    send_both_in_wrong_places(caller, side, tokens["good"])
    assert_nowhere(stack, {*tokens.values(), side.code, side.code.split("_")[2]}, partner)


def send_both_in_wrong_places(caller: Caller, side: PartnerSide, token: str) -> None:
    """Send token and code in wrong places; no response or log repeats them."""
    for secret in (side.code, token):
        caller.ask("GET", f"/v1/token-requests/{secret}")
        caller.ask("GET", CURRENT, params={"code": secret})
        caller.ask("GET", f"/connect?{secret}")
        caller.ask("GET", CURRENT, headers={"Authorization": f"Bearer {secret}"})
        caller.ask("GET", "/v1/partners", headers={"Authorization": f"Bearer {secret}"})
        caller.ask("GET", CURRENT, headers={"Authorization": secret, "X-Request-Id": secret})
        for body in ({"access_token": [secret]}, {"token": secret}, {secret: secret}, secret):
            assert side.ask("PUT", "/token", json=body).status_code in {410, 422}


def assert_nowhere(stack: Stack, secrets: set[str], partner: Json) -> None:
    """Assert that no secret is found, and that the same search finds an expected text."""
    places = dict(files_of(stack.data_dir)) | dict(files_of(stack.directory / "api"))
    if stack.database_url is not None:
        places |= dict(tables_of(stack.database_url))
    places["answers of the API"] = b"\n".join(stack.kept)
    places["logs"] = stack.logs()
    assert b"/v1/token-requests/current/token" in places["logs"]
    assert search(secrets, places) == []
    assert search({partner["name"]}, places) != []


def test_link_revoked_during_validation_connects_no_partner(stack: Stack, caller: Caller) -> None:
    """Revoke the link while Meta answers; the token is never connected."""
    _, partners = caller.discover()
    partner = first_with(partners, "agency")
    side = link_for(stack, caller, partner)
    caller.meta.latency(0.7)
    token = caller.meta.token(partner["meta_business_id"])
    assert side.ask("PUT", "/token", json={"access_token": token}).status_code == 202
    validation = f"/v1/token-validations/{seen_by_creator(caller, side)['validation_id']}"
    wait_until(lambda: caller.get(validation), lambda seen: seen["status"] == "running")
    assert side.seen()["state"] == "submitted"
    gone = caller.ask("DELETE", f"/v1/token-requests/{side.made['id']}")
    assert gone.status_code == 204
    assert caller.get(validation)["status"] == "running"
    assert caller.wait_for_validation(validation)["verdict"] == "not_connectable"
    assert seen_by_creator(caller, side)["state"] == "revoked"
    assert caller.partner(partner)["onboarding_status"] == "pending_onboarding"
    assert side.ask("GET").json()["state"] == "revoked"
