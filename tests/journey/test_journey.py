"""Journey from an empty workspace to every partner's users, on both stacks."""

from collections.abc import Callable

import pytest

from tests.journey import truth
from tests.journey.caller import Caller, at_once, checks, first_with, one
from tests.journey.meta import Json
from tests.journey.stacks import Stack

pytestmark = pytest.mark.by_day("separate")

BAD_TOKENS = {
    "expired": ("live", "token_expired"),
    "revoked": ("live", "token_revoked"),
    "wrong_app": ("app", "token_of_another_app"),
    "user_type": ("token_type", "not_a_system_user_token"),
    "missing_scope": ("scopes_required", "scopes_missing"),
    "narrowed": ("scopes_narrowed", "scopes_narrowed"),
    "employee": ("system_user_role", "system_user_not_admin"),
}
STEPS = [
    "app_access",
    "system_user_admin",
    "assets_assigned",
    "token_generated",
    "token_handed_over",
    "connected",
    "first_sync",
]


def test_check_for_updates_lists_every_partner_of_the_business(caller: Caller) -> None:
    """Assert that a healthy integration shows Meta's partners with their facts.

    The facts are relationship, counts and the pending status.
    """
    integration = caller.integrate()
    assert caller.partners() == {}

    job = caller.check(integration)

    expected = caller.meta.partners()
    shown = caller.partners(integration_id=integration["id"])
    assert job["counts"] == {
        "seen": 4,
        "added": 4,
        "changed": 0,
        "removed": 0,
        "unchanged": 0,
    }
    assert job["partial"] is False
    assert set(shown) == set(expected)
    for business_id, partner in shown.items():
        known = expected[business_id]
        assert partner["name"] == known["name"]
        assert partner["relationship"] == known["relationship"]
        assert partner["presence"] == "listed"
        assert partner["onboarding_status"] == "pending_onboarding"
        assert partner["onboarding_status_label"] == "Pending onboarding"
        counts = truth.asset_counts(known)
        # The calls that list partners return no pixels: an unknown count is null, never zero.
        assert partner["shared_asset_counts"] == counts | {"pixel": None}
    assert caller.everything("/v1/partner-users") == []


def test_each_bad_token_fails_its_own_check_and_connects_nothing(caller: Caller) -> None:
    """Assert that each kind of bad token fails its own check, with a remedy."""
    _, partners = caller.discover()
    both_sides = [first_with(partners, side) for side in ("agency", "client")]

    found = at_once(lambda partner: dry_run_each_bad_token(caller, partner), both_sides)

    for partner in both_sides:
        assert_not_connected(caller, partner)
    expected = {
        kind: ("not_connectable", check_id, "fail", code)
        for kind, (check_id, code) in BAD_TOKENS.items()
    }
    assert found == [expected, expected]


def test_token_of_another_business_is_refused(caller: Caller) -> None:
    """Use our own token for a partner, another partner's token, and a partner's token for us."""
    integration, partners = caller.discover()
    partner, other = first_with(partners, "agency"), first_with(partners, "client")
    of_host, of_other = caller.meta.host()["token"], caller.meta.token(other["meta_business_id"])

    for submit in (caller.dry_run, caller.connect):
        found = checks(submit(partner, of_host))
        assert failed(found) >= {"owner_business", "not_host_token"}
        assert found["not_host_token"]["code"] == "host_token"
        assert found["not_host_token"]["remedy"]
        found = checks(submit(partner, of_other))
        assert failed(found) >= {"owner_business"}
        assert found["owner_business"]["code"] == "token_of_another_business"
    assert_not_connected(caller, partner)

    caller.connected(other)
    found = checks(caller.dry_run(partner, of_other))
    assert failed(found) >= {"owner_business", "not_reused"}
    assert found["not_reused"]["code"] == "token_active_elsewhere"
    assert other["name"] in found["not_reused"]["detail"]
    assert_not_connected(caller, partner)

    path = f"/v1/integrations/{integration['id']}/token"
    answer = caller.ask("PUT", path, json={"access_token": of_other}, headers={"Prefer": "wait=30"})
    found = checks(answer.json())
    assert (answer.status_code, failed(found)) == (200, {"owner_business", "not_reused"})
    assert other["name"] in found["not_reused"]["detail"]
    assert caller.get(f"/v1/integrations/{integration['id']}")["health"] == "healthy"


def test_expiring_token_connects_with_warnings(caller: Caller) -> None:
    """Assert that an expiring token gets two warnings and its end; the partner is onboarded."""
    _, partners = caller.discover()
    partner = first_with(partners, "agency")
    expiring = caller.meta.token(partner["meta_business_id"], "expiring")

    tried = caller.dry_run(partner, expiring)
    assert tried["verdict"] == "connectable_with_warnings"
    assert_not_connected(caller, partner)

    connected = caller.connect(partner, expiring)
    assert connected["verdict"] == "connectable_with_warnings"
    found = checks(connected)
    for check_id in ("expiry", "data_access_expiry"):
        assert (found[check_id]["status"], found[check_id]["code"]) == ("warn", "token_expires")
        assert found[check_id]["remedy"]
    token = caller.get(f"/v1/partners/{partner['id']}/token")
    assert token["expires_at"] is not None
    assert token["data_access_expires_at"] > token["expires_at"]
    assert caller.partner(partner)["onboarding_status"] == "onboarded"
    caller.settle(partner)


def test_connected_partner_shows_exactly_the_data_of_meta(caller: Caller) -> None:
    """Users, grants, assets and checklist are those of Meta after a check for updates."""
    integration, partners = caller.discover()
    chosen = [first_with(partners, side) for side in ("agency", "client", "both")]

    for validation in at_once(caller.connect, chosen):
        assert validation["verdict"] == "connectable"
        assert {check["status"] for check in validation["checks"]} == {"pass"}
    for partner in chosen:
        assert_token_is_described(caller, partner)
        shown = caller.partner(partner)
        assert shown["onboarding_status"] == "onboarded"
        assert shown["onboarding_status_label"] == "Onboarded"

    job = caller.check(integration)

    for partner in chosen:
        assert_shows_the_truth(caller, partner)
        checklist = caller.get(f"/v1/partners/{partner['id']}/onboarding")
        assert [step["id"] for step in checklist["steps"]] == STEPS
        assert {step["status"] for step in checklist["steps"]} == {"done"}, checklist
    stored = {user["meta_user_id"] for user in caller.everything("/v1/partner-users")}
    assert stored == {
        user_id
        for partner in chosen
        for user_id in truth.users(caller.meta.partner(partner["meta_business_id"]))
    }
    assert set(caller.children(job)) == {partner["id"] for partner in chosen}


def test_second_check_for_updates_changes_nothing(
    stack: Stack, caller: Caller, record_property: Callable[[str, object], None]
) -> None:
    """Assert that every count is `unchanged`, every id stays, and no call writes to Meta."""
    integration, partners = caller.discover()
    at_once(caller.connected, partners.values())
    before = {user["id"]: user for user in caller.everything("/v1/partner-users", page_size=7)}
    journey = caller.meta.calls()
    caller.meta.forget_calls()

    job = caller.check(integration)

    check = caller.meta.calls()
    assert_nothing_changed(job)
    children = caller.children(job)
    assert len(children) == 4
    for partner in partners.values():
        child = children[partner["id"]]
        assert_nothing_changed(child)
        expected = truth.users(caller.meta.partner(partner["meta_business_id"]))
        assert child["counts"]["seen"] == len(expected)
        assert child["status"] == "completed"
    after = {user["id"]: user for user in caller.everything("/v1/partner-users", page_size=7)}
    assert without_last_seen(after) == without_last_seen(before)

    for calls in (journey, check):
        assert calls["writes_refused"] == 0
        # A batch is a POST to the root; every operation in it is a GET.
        assert set(calls["by_method"]) == {"GET"}
        assert calls["by_error"] == {}
    figures = {name: check[name] for name in ("http_requests", "counted_calls", "batches")}
    record_property(f"check_of_four_partners_{stack.name}", figures)
    print("one check for updates of four connected partners:", stack.name, figures)
    graph_calls = job["graph_calls"] + sum(child["graph_calls"] for child in children.values())
    assert graph_calls == check["counted_calls"]
    assert figures["http_requests"] <= 67


def dry_run_each_bad_token(caller: Caller, partner: Json) -> dict[str, tuple[str, ...]]:
    """Return the verdict and the result of the failing check by kind of bad token."""
    tokens = caller.meta.partner(partner["meta_business_id"])["tokens"]
    found: dict[str, tuple[str, ...]] = {}
    for kind, (check_id, _) in BAD_TOKENS.items():
        validation = caller.dry_run(partner, tokens[kind])
        check = checks(validation)[check_id]
        assert check["remedy"] or check["status"] != "fail"
        found[kind] = (validation["verdict"], check_id, check["status"], check["code"])
    return found


def assert_shows_the_truth(caller: Caller, partner: Json) -> None:
    """Assert that users, grants, assets and counts of the partner are those of Meta."""
    known = caller.meta.partner(partner["meta_business_id"])
    assert truth.shown_users(caller.users(partner)) == truth.users(known)
    shared = caller.everything(f"/v1/partners/{partner['id']}/assets")
    assert truth.shown_assets(shared) == truth.assets(known)
    shown = caller.partner(partner)
    assert shown["user_count"] == len(truth.users(known))
    assert shown["people_without_access_count"] == truth.people_not_stored(known)
    assert shown["shared_asset_counts"] == truth.asset_counts(known)
    assert shown["data_as_of"] is not None


def failed(found: dict[str, Json]) -> set[str]:
    """Return the failed checks."""
    return {check_id for check_id, check in found.items() if check["status"] == "fail"}


def assert_not_connected(caller: Caller, partner: Json) -> None:
    """Assert that there is no token, user or check, and that the partner is still pending."""
    token = caller.ask("GET", f"/v1/partners/{partner['id']}/token")
    assert (token.status_code, token.json()["code"]) == (404, "token_not_connected")
    assert caller.partner(partner)["onboarding_status"] == "pending_onboarding"
    assert caller.users(partner) == []
    assert caller.everything("/v1/sync-jobs", partner_id=partner["id"]) == []


def assert_token_is_described(caller: Caller, partner: Json) -> None:
    """Assert that the metadata of the active token are those of Meta."""
    known = caller.meta.partner(partner["meta_business_id"])
    good = known["token_details"]["good"]
    token = caller.get(f"/v1/partners/{partner['id']}/token")
    assert token["state"] == "active"
    assert token["version"] == 1
    assert token["health"] == "healthy"
    assert token["app_id"] == good["app_id"]
    assert token["type"] == "SYSTEM_USER"
    assert token["system_user"] == known["system_user"]
    assert token["scopes"] == sorted(good["scopes"])
    assert (token["missing_scopes"], token["excess_scopes"]) == ([], [])
    assert (token["expires_at"], token["data_access_expires_at"]) == (None, None)
    current = caller.get("/v1/sealing-keys/current")
    assert token["key_id"] == one([current])["key_id"]


def assert_nothing_changed(job: Json) -> None:
    """Assert that the check found only known users, unchanged."""
    counts = job["counts"]
    assert counts["seen"] > 0
    assert counts["unchanged"] == counts["seen"], counts
    assert (counts["added"], counts["changed"], counts["removed"]) == (0, 0, 0)
    assert job["partial"] is False


def without_last_seen(users: dict[str, Json]) -> dict[str, Json]:
    """Return the users without the time when they were last seen."""
    return {
        user_id: {name: value for name, value in user.items() if name != "last_seen_at"}
        for user_id, user in users.items()
    }
