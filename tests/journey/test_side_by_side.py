"""Customers of one deployment, and concurrent requests."""

import sqlite3

import psycopg
import pytest

from tests.journey import truth
from tests.journey.caller import Caller, at_once, first_with
from tests.journey.meta import Json
from tests.journey.stacks import Stack

pytestmark = pytest.mark.by_day("separate")


@pytest.mark.parametrize("stack", ["separate"], indirect=True)
def test_workspaces_with_the_same_meta_business_are_isolated(stack: Stack, caller: Caller) -> None:
    """Assert other ids, own states, and 404 for the other workspace's rows."""
    integration, partners = caller.discover()
    with stack.caller() as stranger:
        other_integration, theirs = stranger.discover()
        assert set(theirs) == set(partners)
        assert {item["id"] for item in theirs.values()}.isdisjoint(
            item["id"] for item in partners.values()
        )

        partner = caller.connected(first_with(partners, "agency"))
        assert stranger.partners(onboarding_status="onboarded") == {}
        assert stranger.everything("/v1/partner-users") == []
        user, job = caller.users(partner)[0], caller.start_check(partner)
        caller.settle(partner)

        for path in (
            f"/v1/integrations/{integration['id']}",
            f"/v1/partners/{partner['id']}",
            f"/v1/partners/{partner['id']}/assets",
            f"/v1/partners/{partner['id']}/onboarding",
            f"/v1/partners/{partner['id']}/token",
            f"/v1/partner-users/{user['id']}",
            f"/v1/sync-jobs/{job['id']}",
        ):
            assert caller.ask("GET", path).status_code == 200, path
            assert stranger.ask("GET", path).status_code == 404, path
        assert stranger.everything("/v1/partners", integration_id=integration["id"]) == []
        assert stranger.everything("/v1/partner-users", partner_id=partner["id"]) == []
        assert stranger.everything("/v1/sync-jobs", partner_id=partner["id"]) == []
        body = {"access_token": caller.meta.token(partner["meta_business_id"])}
        for method, path, json in (
            ("PUT", f"/v1/partners/{partner['id']}/token", body),
            ("POST", f"/v1/partners/{partner['id']}/token-validations", body),
            ("DELETE", f"/v1/partners/{partner['id']}/token", None),
            ("POST", f"/v1/partners/{partner['id']}/sync-jobs", {}),
            ("POST", f"/v1/integrations/{integration['id']}/sync-jobs", {}),
            ("DELETE", f"/v1/integrations/{integration['id']}", None),
        ):
            assert stranger.ask(method, path, json=json).status_code == 404, path

        # The other workspace uses the same token, which is not visible here.
        same = stranger.connected(theirs[partner["meta_business_id"]])
        assert stranger.get(f"/v1/partners/{same['id']}/token")["version"] == 1
        gone = stranger.ask("DELETE", f"/v1/integrations/{other_integration['id']}")
        assert gone.status_code == 204
    assert caller.partner(partner)["onboarding_status"] == "onboarded"
    known = caller.meta.partner(partner["meta_business_id"])
    assert truth.shown_users(caller.users(partner)) == truth.users(known)


def test_ten_tokens_at_once_leave_one_active(stack: Stack, caller: Caller) -> None:
    """Assert that the newest of ten parallel tokens becomes active, and the others are deleted.

    Each token is in a sealed box of its own, so that the API cannot see that they are the same.
    """
    _, partners = caller.discover()
    partner = first_with(partners, "agency")
    token = caller.meta.token(partner["meta_business_id"])
    boxes = [caller.sealed(token) for _ in range(10)]

    validations = at_once(lambda box: caller.connect_with(partner, box), boxes)

    assert len({item["id"] for item in validations}) == 10
    assert "connectable" in {item["verdict"] for item in validations}
    for validation in validations:
        # A later token cancels the validation of an earlier one.
        codes = {check["code"] for check in validation["checks"] if check["status"] == "fail"}
        assert validation["verdict"] == "connectable" or codes == {"superseded"}
    caller.settle(partner)
    assert caller.partner(partner)["onboarding_status"] == "onboarded"
    shown = caller.get(f"/v1/partners/{partner['id']}/token")
    assert (shown["state"], shown["health"], shown["version"]) == ("active", "healthy", 10)
    rows = tokens_of_newest_partner(stack)
    assert len(rows) == 10
    assert [state for state, is_kept in rows if is_kept or state == "active"] == ["active"]
    assert {state for state, _ in rows} <= {"active", "superseded", "wiped"}
    known = caller.meta.partner(partner["meta_business_id"])
    assert truth.shown_users(caller.users(partner)) == truth.users(known)


def test_second_request_joins_the_running_check(caller: Caller) -> None:
    """Assert that ten parallel requests for a check of one partner start one job."""
    _, partners = caller.discover()
    partner = caller.connected(first_with(partners, "client"))
    # Long enough that the check still runs when the last request arrives, on a busy machine too.
    caller.meta.latency(1.0)
    jobs: list[Json] = at_once(caller.start_check, [partner] * 10)
    caller.meta.latency(0.0)
    assert len({job["id"] for job in jobs}) == 1
    assert caller.ended(jobs[0])["status"] == "completed"


def tokens_of_newest_partner(stack: Stack) -> list[tuple[str, bool]]:
    """Return each token's state, and whether it is stored, of the newest token's partner."""
    query = (
        "SELECT state, sealed IS NOT NULL FROM tokens WHERE partner_id = "
        "(SELECT partner_id FROM tokens WHERE partner_id IS NOT NULL "
        "ORDER BY created_at DESC LIMIT 1)"
    )
    if stack.database_url is None:
        connection = sqlite3.connect(stack.data_dir / "partner-connector.db")
        try:
            rows = connection.execute(query).fetchall()
        finally:
            connection.close()
    else:
        with psycopg.connect(stack.database_url) as server:
            rows = server.execute(query).fetchall()
    return [(str(state), bool(is_kept)) for state, is_kept in rows]
