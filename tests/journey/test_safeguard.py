"""A check that would remove many users, which waits for a decision."""

import json
from collections.abc import Iterable

import pytest

from partner_connector.ids import decode
from tests.journey import truth
from tests.journey.caller import Caller, first_with, one, wait_until
from tests.journey.meta import Json
from tests.journey.operating import one_more_worker, query, staged
from tests.journey.replay import replay, shown
from tests.journey.stacks import Stack

pytestmark = pytest.mark.by_day("separate")

PERCENT = 20
PLANNED = ("kind", "partner_id", "partner_user_id", "asset_id", "before", "after")


@pytest.fixture
def guarded(caller: Caller) -> tuple[Json, dict[str, Json]]:
    """Integration with the default safeguard, and its partners."""
    integration, partners = caller.discover()
    path = f"/v1/integrations/{integration['id']}"
    changed = caller.ask("PATCH", path, json={"safeguard_percent": PERCENT})
    assert changed.json()["safeguard_percent"] == PERCENT
    return integration, partners


@pytest.fixture
def partner(caller: Caller, guarded: tuple[Json, dict[str, Json]]) -> Json:
    """Connected agency with ten users."""
    return caller.connected(first_with(guarded[1], "agency"))


def remove_many_users(caller: Caller, partner: Json) -> None:
    """Make three of ten users leave, one join, and one change the name."""
    known = caller.meta.partner(partner["meta_business_id"])
    people = [key for key, user in truth.users(known).items() if user["kind"] == "person"]
    for person in people[:3]:
        caller.meta.mutate("leave", person=person)
    caller.meta.mutate("rename", id=people[3], name="Renata Renamed")
    caller.meta.mutate("join", partner=known["id"], name="Nova Newcomer")


def halted(caller: Caller, job: Json) -> Json:
    """Wait until the safeguard halts the job, and return it."""
    return wait_until(lambda: caller.job(job), lambda seen: seen["status"] == "halted")


def plan_of(job: Json) -> str:
    """Return the path of the job's plan."""
    return f"/v1/sync-jobs/{job['id']}/plan"


def feed(caller: Caller) -> list[Json]:
    """Return the whole change feed."""
    return caller.everything("/v1/changes", page_size=100)


def assert_truth_is_shown(caller: Caller, partner: Json) -> None:
    """Assert that the users are those of Meta, and that the feed leads to the same users."""
    known = caller.meta.partner(partner["meta_business_id"])
    assert truth.shown_users(caller.users(partner)) == truth.users(known)
    replayed = replay(feed(caller))
    all_users = caller.everything("/v1/partner-users", state="active", expand="grants")
    assert (replayed.wrong, replayed.shown()) == ([], shown(all_users))


def assert_refused(caller: Caller, path: str, body: Json | None = None) -> None:
    """Assert that a decision on an outdated plan is refused."""
    answer = caller.ask("POST", path, json=body)
    assert (answer.status_code, answer.json()["code"]) == (409, "plan_stale")


def test_plan_halts_one_partner_only_and_is_applied_once_approved(
    caller: Caller, guarded: tuple[Json, dict[str, Json]], partner: Json
) -> None:
    """Assert that exactly the plan is applied.

    It is shown in pages, and other partners are checked meanwhile.
    """
    integration, partners = guarded
    other = caller.connected(first_with(partners, "client"))
    users, events = caller.users(partner), feed(caller)
    remove_many_users(caller, partner)

    parent = caller.ended(caller.start_check(integration))

    assert (parent["status"], parent["status_label"]) == ("halted", "Halted")
    children = caller.children(parent)
    job = children[partner["id"]]
    assert (job["status"], job["finished_at"], job["partial"]) == ("halted", None, False)
    assert children[other["id"]]["status"] == "completed"
    assert caller.users(partner) == users
    assert feed(caller) == events

    plan = caller.get(plan_of(job))
    planned = caller.everything(plan_of(job), page_size=3)
    assert (plan["status"], plan["safeguard_percent"]) == ("open", PERCENT)
    assert (plan["users"], plan["removals"]) == (len(users), 3)
    assert len(planned) == sum(plan["counts"].values()) > 6
    assert plan["counts"]["user_left"] == 3
    assert plan["counts"]["user_joined"] == 1
    assert planned == caller.everything(plan_of(job), page_size=100)

    assert caller.start_check(partner)["id"] == job["id"]
    assert caller.check(other)["counts"]["removed"] == 0
    again = caller.ended(caller.start_check(integration))
    assert again["id"] != parent["id"]
    # The plan belongs to the check that made it; this check warns that it skipped a partner.
    assert (again["status"], again["partial"]) == ("completed", True)
    assert [warning["code"] for warning in again["warnings"]] == ["plan_open"]
    assert partner["id"] not in caller.children(again)
    assert caller.job(parent)["status"] == "halted"

    assert_refused(caller, f"{plan_of(job)}/approve", {"digest": "0" * 64})
    assert feed(caller) == events
    body = {"digest": plan["digest"]}
    assert caller.ask("POST", f"{plan_of(job)}/approve", json=body).status_code == 202

    done = caller.ended(job)
    assert (done["status"], done["counts"]["removed"]) == ("completed", 3)
    # One run makes the plan and one applies it.
    assert done["attempt"] == 2
    news = feed(caller)[len(events) :]
    # The plan is computed again from the staged rows, which a database may return in another order.
    as_planned = [{name: change[name] for name in PLANNED} for change in news]
    assert in_order(as_planned) == in_order(planned)
    assert {change["job_id"] for change in news} == {job["id"]}
    assert_truth_is_shown(caller, partner)
    assert caller.get(plan_of(job))["status"] == "approved"
    assert caller.job(again)["status"] == "completed"
    events = caller.everything("/v1/audit-events")
    decision = one(event for event in events if event["subject"] == job["id"])
    assert decision["action"] == "sync_plan.approved"


def in_order(changes: Iterable[Json]) -> list[str]:
    """Return the changes in one order, whichever comes first."""
    return sorted(json.dumps(change, sort_keys=True) for change in changes)


@pytest.mark.parametrize("stack", ["embedded"], indirect=True)
def test_check_after_a_rejected_plan_makes_a_new_plan(caller: Caller, partner: Json) -> None:
    """Assert that nothing of the first plan is applied.

    Only the second plan has a user who left later.
    """
    users, events = caller.users(partner), feed(caller)
    remove_many_users(caller, partner)
    job = halted(caller, caller.start_check(partner))
    digest = caller.get(plan_of(job))["digest"]

    rejected = caller.ask("POST", f"{plan_of(job)}/reject", json={"digest": digest})

    assert (rejected.status_code, rejected.json()["status"]) == (200, "cancelled")
    assert rejected.json()["finished_at"] is not None
    assert (caller.users(partner), feed(caller)) == (users, events)
    known = caller.meta.partner(partner["meta_business_id"])
    caller.meta.mutate("leave", person=known["people"][0]["id"])
    new = halted(caller, caller.start_check(partner))
    plan = caller.get(plan_of(new))
    assert new["id"] != job["id"]
    assert (plan["removals"], plan["digest"] == digest) == (4, False)
    assert caller.ask("POST", f"{plan_of(new)}/approve").status_code == 202
    assert caller.ended(new)["counts"]["removed"] == 4
    assert_truth_is_shown(caller, partner)


@pytest.mark.parametrize("stack", ["embedded"], indirect=True)
def test_plan_of_a_replaced_token_is_not_applied(caller: Caller, partner: Json) -> None:
    """Assert that a new token ends the check that made the plan.

    The new token may see more, so a new check decides.
    """
    users = caller.users(partner)
    remove_many_users(caller, partner)
    job = halted(caller, caller.start_check(partner))
    renewed = caller.meta.mutate("new_token", partner=partner["meta_business_id"])["token"]

    assert caller.connect(partner, renewed)["verdict"] == "connectable"

    plan = caller.get(plan_of(job))
    assert (caller.job(job)["status"], plan["status"]) == ("cancelled", "closed")
    answer = caller.ask("POST", f"{plan_of(job)}/approve", json={"digest": plan["digest"]})
    assert (answer.status_code, answer.json()["code"]) == (409, "plan_not_open")
    new = halted(caller, caller.start_check(partner))
    assert (new["trigger"], caller.get(plan_of(new))["status"]) == ("connect", "open")
    assert caller.users(partner) == users


@pytest.mark.parametrize("stack", ["separate"], indirect=True)
def test_disconnecting_ends_the_plan(caller: Caller, partner: Json) -> None:
    """Assert that no plan prevents the next check after a disconnect."""
    remove_many_users(caller, partner)
    job = halted(caller, caller.start_check(partner))

    assert caller.ask("DELETE", f"/v1/partners/{partner['id']}/token").status_code == 200

    assert caller.job(job)["status"] == "cancelled"
    again = caller.meta.mutate("new_token", partner=partner["meta_business_id"])["token"]
    assert caller.connect(partner, again)["verdict"] == "connectable"
    assert caller.get(plan_of(halted(caller, caller.start_check(partner))))["status"] == "open"


@pytest.mark.parametrize("stack", ["separate"], indirect=True)
def test_expired_plan_is_cleaned_up(
    stack: Stack, caller: Caller, guarded: tuple[Json, dict[str, Json]], partner: Json
) -> None:
    """Assert that it cannot be approved, and that the next cleanup cancels the job."""
    users = caller.users(partner)
    remove_many_users(caller, partner)
    parent = caller.ended(caller.start_check(guarded[0]))
    job = caller.children(parent)[partner["id"]]
    job_id = decode("job", job["id"])
    late = "UPDATE sync_jobs SET plan_expires_at = now() - interval '1 second' WHERE id = %s"
    query(stack, late, job_id)
    assert caller.get(plan_of(job))["status"] == "expired"
    assert_refused(caller, f"{plan_of(job)}/approve")
    assert staged(stack, job_id) > 0

    with one_more_worker(stack):
        assert caller.ended(job)["status"] == "cancelled"
        wait_until(lambda: staged(stack, job_id), lambda rows: rows == 0)

    assert caller.job(parent)["status"] == "cancelled"
    closed = caller.get(plan_of(job))
    assert (closed["status"], closed["items"]) == ("closed", [])
    assert caller.users(partner) == users
    assert halted(caller, caller.start_check(partner))["id"] != job["id"]
