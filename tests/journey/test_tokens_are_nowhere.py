"""Search for every token of the simulated Meta in all stored, logged and returned data."""

import base64
import json
from typing import Any

import pytest

from tests.journey.caller import Caller, at_once, first_with
from tests.journey.canaries import files_of, forms, search, tables_of
from tests.journey.meta import Json
from tests.journey.stacks import Stack

pytestmark = pytest.mark.by_day("separate")

TROUBLE: list[Json] = [
    {"http": 500, "body": "<html>oops</html>"},
    {"reset": True},
    {"delay_seconds": 0.2, "error": {"code": 190, "subcode": 463}},
    {"error": {"code": 200, "message": "(#200) Permissions error"}},
    {"error": {"code": 100, "message": "(#100) Invalid parameter"}},
    {"empty_body": True},
]


def test_no_token_is_found_anywhere(stack: Stack, caller: Caller) -> None:
    """Send good and bad tokens in every way at LOG_LEVEL=DEBUG, and search for them.

    No token is in any place in any encoding, and the same search finds names that are stored.
    """
    integration, partners = caller.discover()
    agency, client = first_with(partners, "agency"), first_with(partners, "client")
    of_agency = caller.meta.partner(agency["meta_business_id"])["tokens"]
    at_once(lambda token: caller.dry_run(agency, token["text"]), as_items(of_agency))
    for kind in ("revoked", "employee", "good"):
        caller.connect_with(agency, caller.sealed(of_agency[kind]))
    caller.connect(client)
    caller.connect(client, caller.meta.token(client["meta_business_id"], "wrong_app"))
    send_twice_with_keys(caller, client)
    refuse_every_wrong_body(caller, agency, integration)
    meet_trouble_at_meta(caller, partners)
    caller.check(integration)
    gone = caller.ask("DELETE", f"/v1/partners/{client['id']}/token")
    assert gone.status_code == 200

    places = dict(files_of(stack.data_dir)) | dict(files_of(stack.directory / "api"))
    if stack.database_url is not None:
        places |= dict(tables_of(stack.database_url))
        assert {"table public.tokens", "table dbos.workflow_status"} <= set(places)
    places["answers of the API"] = b"\n".join(stack.kept)
    places["logs"] = stack.logs()
    assert len(stack.kept) > 100
    assert b'"level": "debug"' in places["logs"]

    canaries = caller.meta.tokens()
    assert len(canaries) == 43
    assert search(canaries | stack.secrets, places) == []
    assert_the_search_would_find(caller, places, canaries)


def refuse_every_wrong_body(caller: Caller, partner: Json, integration: Json) -> None:
    """Send every invalid body; no response repeats the token in it."""
    token = caller.meta.token(partner["meta_business_id"])
    host = caller.meta.host()
    bodies: list[Any] = [
        token,
        [token],
        {"token": token},
        {"access_token": {"value": token}},
        {"access_token": [token]},
        {"access_token": token, "extra": token},
        {"access_token": token, token: "x"},
        {"access_token": f"{token} {token}"},
        {"access_token": token, "sealed_token": token, "key_id": token},
        {"sealed_token": token, "key_id": "sk_0123456789abcdef"},
        {"sealed_token": token},
        {"key_id": token},
        {"access_token": token * 30},
        {"access_token": f"{token}\u0000"},
    ]
    path = f"/v1/partners/{partner['id']}/token"
    for body in bodies:
        assert caller.ask("PUT", path, json=body).status_code == 422, type(body)
        answer = caller.ask("POST", f"{path}-validations", json=body)
        assert answer.status_code == 422
    broken = caller.ask("PUT", path, content=f'{{"access_token": "{token}'.encode())
    assert broken.status_code in {400, 415, 422}
    as_form = caller.ask("PUT", path, data={"access_token": token})
    assert as_form.status_code in {400, 415, 422}
    for wrong in (
        {"name": token, "access_token": host["token"]},
        {"name": "x", "meta_business_id": token, "access_token": host["token"]},
        {"name": "x", "meta_business_id": host["id"], "access_token": 1, "schedule": token},
    ):
        assert caller.ask("POST", "/v1/integrations", json=wrong).status_code == 422
    one_again = {"name": "x", "meta_business_id": host["id"], "access_token": host["token"]}
    assert caller.ask("POST", "/v1/integrations", json=one_again).status_code == 409
    replace = f"/v1/integrations/{integration['id']}/token"
    assert caller.ask("PUT", replace, json={"access_token": [host["token"]]}).status_code == 422
    assert caller.ask("PUT", replace, json={"access_token": host["token"]}).status_code == 202
    # A careless client may send a token in these places.
    for place in (f"/v1/partners/{token}", f"/v1/partners?q={token}", f"/v1/{token}"):
        assert caller.ask("GET", place).status_code in {200, 404, 422}
    for headers in ({"X-Request-Id": token}, {"Authorization": f"Bearer {token}"}):
        caller.ask("GET", "/v1/partners", headers=headers)


def send_twice_with_keys(caller: Caller, partner: Json) -> None:
    """Send tokens in requests with an idempotency key, and one token as the key."""
    for kind in ("good", "wrong_app"):
        token = caller.meta.token(partner["meta_business_id"], kind)
        for key in (token[:64], kind, kind):
            path = f"/v1/partners/{partner['id']}/token-validations"
            headers = {"Idempotency-Key": key, "If-None-Match": token}
            answer = caller.ask("POST", path, json={"access_token": token}, headers=headers)
            assert answer.status_code == 202
    assert answer.headers["Idempotent-Replayed"] == "true"


def meet_trouble_at_meta(caller: Caller, partners: dict[str, Json]) -> None:
    """Make Meta disconnect, delay, refuse and answer invalid JSON to calls with tokens."""
    for edge in ("debug_token", "business_users"):
        for number, fault in enumerate(TROUBLE):
            caller.meta.fault({"edge": edge}, fault, after=number, times=1)
    submitted = []
    for partner in partners.values():
        path = f"/v1/partners/{partner['id']}/token-validations"
        tokens = caller.meta.partner(partner["meta_business_id"])["tokens"]
        submitted += [
            caller.ask("POST", path, json={"access_token": tokens[kind]})
            for kind in ("good", "expiring", "employee")
        ]
    for answer in submitted:
        caller.wait_for_validation(answer.headers["Location"])
    caller.meta.heal()


def assert_the_search_would_find(
    caller: Caller, places: dict[str, bytes], canaries: set[str]
) -> None:
    """Assert that the search finds a partner's name, and a token in each encoding."""
    names = [partner["name"] for partner in caller.partners().values()]
    hits = search(names, places)
    assert any("answers of the API as raw" in hit for hit in hits)
    assert any("partner-connector.db" in hit or "public.partners" in hit for hit in hits)
    token = min(canaries)
    for form, needle in forms(token).items():
        assert search([token], {"here": b"before" + needle + b"after"}), form
    for before in ("", "a", "ab"):
        text = base64.b64encode(f"{before}{token}{before}".encode())
        assert any("base64" in hit for hit in search([token], {"here": text}))
    assert search([token], {"here": json.dumps({"a": [token]}).encode()})


def as_items(tokens: dict[str, str]) -> list[Json]:
    """Return the values as items for `at_once`."""
    return [{"text": text} for text in tokens.values()]
