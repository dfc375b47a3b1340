"""A partner hands its token over itself, by a link, and we never have it."""

import pytest

from tests.journey.caller import Caller, checks, first_with, wait_until
from tests.journey.canaries import files_of, search, tables_of
from tests.journey.meta import Json
from tests.journey.partner_side import CURRENT, PartnerSide, link_for, told
from tests.journey.stacks import Stack

pytestmark = pytest.mark.by_day("embedded")


def test_a_bad_token_is_explained_and_a_good_one_connects(stack: Stack, caller: Caller) -> None:
    """Rejected with each check and what to do, then accepted; the partner is onboarded, the code
    is dead, and neither token nor code is in anything that we keep or say."""
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
    assert told(caller, side)["state"] == "accepted"
    assert caller.partner(partner)["onboarding_status"] == "onboarded"
    ended = side.ask("PUT", "/token", json={"access_token": tokens["good"]})
    assert (ended.status_code, ended.json()["state"]) == (410, "accepted")
    caller.settle(partner)
    assert caller.users(partner) != []

    put_both_where_they_do_not_belong(caller, side, tokens["good"])
    assert_nowhere(stack, {*tokens.values(), side.code, side.code.split("_")[2]}, partner)


def put_both_where_they_do_not_belong(caller: Caller, side: PartnerSide, token: str) -> None:
    """As careless people do: nothing of it is repeated or logged."""
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
    """No secret is found, and the same search finds what must be there."""
    places = dict(files_of(stack.data_dir)) | dict(files_of(stack.directory / "api"))
    if stack.database_url is not None:
        places |= dict(tables_of(stack.database_url))
    places["answers of the API"] = b"\n".join(stack.kept)
    places["logs"] = stack.logs()
    assert b"/v1/token-requests/current/token" in places["logs"]
    assert search(secrets, places) == []
    assert search({partner["name"]}, places) != []


def test_a_link_that_is_revoked_during_the_proof_connects_nobody(
    stack: Stack, caller: Caller
) -> None:
    """The token is with Meta when we change our mind: no verdict connects it any more."""
    _, partners = caller.discover()
    partner = first_with(partners, "agency")
    side = link_for(stack, caller, partner)
    caller.meta.latency(0.7)
    token = caller.meta.token(partner["meta_business_id"])
    assert side.ask("PUT", "/token", json={"access_token": token}).status_code == 202
    proof = f"/v1/token-validations/{told(caller, side)['validation_id']}"
    wait_until(lambda: caller.get(proof), lambda seen: seen["status"] == "running")
    assert side.seen()["state"] == "submitted"
    gone = caller.ask("DELETE", f"/v1/token-requests/{side.made['id']}")
    assert gone.status_code == 204
    assert caller.get(proof)["status"] == "running"
    assert caller.proven(proof)["verdict"] == "not_connectable"
    assert told(caller, side)["state"] == "revoked"
    assert caller.partner(partner)["onboarding_status"] == "pending_onboarding"
    assert side.ask("GET").json()["state"] == "revoked"
