"""Webhooks of a whole journey: the same changes as the feed, and no names."""

import json
from collections import Counter
from collections.abc import Iterator

import pytest

from partner_connector.features.webhooks.event_types import EventType
from tests.journey import truth
from tests.journey.caller import Caller, first_with, wait_until
from tests.journey.canaries import files_of, search, tables_of
from tests.journey.meta import Json
from tests.journey.stacks import Stack
from tests.support.receivers import Received, Receiver, receiver

pytestmark = pytest.mark.by_day("separate")

OF_A_CHANGE = {
    "partner_listed": "partner.listed",
    "partner_unshared": "partner.unshared",
    "user_joined": "partner_user.joined",
    "user_rejoined": "partner_user.rejoined",
    "user_left": "partner_user.left",
    "user_role_changed": "partner_user.role_changed",
}
COMING_AND_GOING = {"user_joined", "user_rejoined", "user_left"}
OF_THE_FEED = {*OF_A_CHANGE.values(), "partner_user.access_changed"}


@pytest.fixture
def customer_server(caller: Caller) -> Iterator[Receiver]:
    """Server that receives every event."""
    with receiver() as server:
        body = {"url": server.url, "event_types": [str(each) for each in EventType]}
        made = caller.ask("POST", "/v1/webhook-endpoints", json=body)
        assert made.status_code == 201, made.text
        server.secret = made.json()["signing_secret"]
        yield server
        path = f"/v1/webhook-endpoints/{made.json()['id']}"
        assert caller.ask("DELETE", path).status_code == 204


def expected_from(changes: list[Json]) -> list[tuple[str, str | None, int]]:
    """Return type, user and change of each event for these changes, in their order."""
    comes_or_goes = {
        (change["job_id"], change["partner_user_id"])
        for change in changes
        if change["kind"] in COMING_AND_GOING
    }
    of_access: set[tuple[str, str]] = set()
    expected = []
    for change in changes:
        person = (change["job_id"], change["partner_user_id"])
        kind = OF_A_CHANGE.get(change["kind"])
        if change["kind"].startswith("access_") and person not in comes_or_goes | of_access:
            of_access.add(person)
            kind = "partner_user.access_changed"
        if kind is not None:
            expected.append((kind, change["partner_user_id"], change["sequence"]))
    return expected


def received_about(events: list[Received], partner_id: str) -> list[Received]:
    """Return the events about one partner."""
    return [each for each in events if each.data.get("partner_id") == partner_id]


def test_feed_and_webhooks_report_the_same_changes(
    caller: Caller, customer_server: Receiver, stack: Stack
) -> None:
    """Assert that every change with an event type is sent in the feed's order.

    Other events report the state of partner, token and jobs. No body has a name.
    """
    _, partners = caller.discover()
    partner = caller.connected(first_with(partners, "agency"))
    business_id = partner["meta_business_id"]
    people = [
        user_id
        for user_id, user in truth.users(caller.meta.partner(business_id)).items()
        if user["kind"] == "person"
    ]
    leaver, retasked, promoted = people[:3]
    asset = next(iter(truth.users(caller.meta.partner(business_id))[retasked]["grants"]))
    caller.meta.mutate("join", partner=business_id, name="Nova Newcomer")
    caller.meta.mutate("leave", person=leaver)
    caller.meta.mutate("change_tasks", person=retasked, asset=asset, tasks=["ANALYZE"])
    caller.meta.mutate("change_role", person=promoted, role="FINANCE_EDITOR")
    caller.check(partner)
    caller.connect(partner)
    caller.settle(partner)
    assert caller.ask("DELETE", f"/v1/partners/{partner['id']}/token").status_code == 200

    changes = caller.everything("/v1/changes", page_size=100)
    jobs = caller.everything("/v1/sync-jobs", page_size=100)
    more = 3 + len(jobs)
    expected = expected_from(changes)
    wait_until(lambda: len(customer_server.accepted), lambda number: number >= len(expected) + more)

    heard = customer_server.accepted
    assert len({each.id for each in heard}) == len(heard) == len(expected) + more
    by_feed = [each for each in heard if each.body["type"] in OF_THE_FEED]
    for partner_id in {change["partner_id"] for change in changes}:
        mine = [change for change in changes if change["partner_id"] == partner_id]
        assert [
            (each.body["type"], each.data.get("partner_user_id"), each.data["change_sequence"])
            for each in received_about(by_feed, partner_id)
        ] == expected_from(mine)
        sequences = [each.data["sequence"] for each in received_about(heard, partner_id)]
        assert sequences == sorted(sequences)
    kinds = Counter(each.body["type"] for each in heard)
    assert kinds["sync_job.completed"] == len(jobs)
    assert kinds["partner_user.role_changed"] == kinds["partner_user.left"] == 1
    assert kinds["partner_user.access_changed"] == 1
    of_partner = [each.body["type"] for each in received_about(heard, partner["id"])]
    standing = [each for each in of_partner if each.startswith(("partner.", "token."))]
    assert standing == [
        "partner.listed",
        "partner.connected",
        "token.replaced",
        "partner.disconnected",
    ]
    assert_no_names(caller, heard)
    assert_secret_is_nowhere(stack, customer_server.secret)


def assert_secret_is_nowhere(stack: Stack, secret: str) -> None:
    """Assert that log, files and tables lack the secret in every encoding."""
    places = dict(files_of(stack.data_dir)) | {"logs": stack.logs()}
    if stack.database_url is not None:
        places |= dict(tables_of(stack.database_url))
        assert "table public.webhook_secrets" in places
    assert search([secret], places) == []


def assert_no_names(caller: Caller, heard: list[Received]) -> None:
    """Assert that no message has a name, email address, role or Meta id of a user or partner."""
    users = caller.everything("/v1/partner-users", page_size=100)
    named = {str(user[key]) for user in users for key in ("name", "email", "meta_user_id")}
    named |= {partner["name"] for partner in caller.partners().values()}
    named |= set(caller.partners()) | {"Nova Newcomer", "FINANCE_EDITOR"}
    text = b"\n".join(each.raw for each in heard).decode()
    assert [name for name in named - {"None"} if name in text] == []
    assert all(len(each.raw) < 1000 for each in heard)
    assert json.loads(heard[0].raw)


def test_dead_token_and_its_recovery_are_sent(caller: Caller, customer_server: Receiver) -> None:
    """Assert events about the dead token, the partner, the failed check, and the recovery."""
    _, partners = caller.discover()
    partner = caller.connected(first_with(partners, "agency"))
    caller.meta.mutate("revoke_token", token=caller.meta.token(partner["meta_business_id"]))
    assert caller.ended(caller.start_check(partner))["status"] == "failed"
    for kind in ("token.invalid", "partner.needs_attention", "sync_job.failed"):
        wait_until(
            lambda: [each.body["type"] for each in customer_server.accepted],
            lambda types, kind=kind: kind in types,  # type: ignore[misc] # bound at once
        )
    (dead,) = (each for each in customer_server.accepted if each.body["type"] == "token.invalid")
    assert dead.data["reasons"] == ["token_invalid"]
    assert dead.data["health"] == "invalid"
