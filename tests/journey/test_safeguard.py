"""A check that would remove many people: nothing is done until somebody has decided."""

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
    """An integration with the usual safeguard, and its partners."""
    integration, partners = caller.discover()
    path = f"/v1/integrations/{integration['id']}"
    changed = caller.ask("PATCH", path, json={"safeguard_percent": PERCENT})
    assert changed.json()["safeguard_percent"] == PERCENT
    return integration, partners


@pytest.fixture
def partner(caller: Caller, guarded: tuple[Json, dict[str, Json]]) -> Json:
    """A connected agency of ten users."""
    return caller.connected(first_with(guarded[1], "agency"))


def let_many_go(caller: Caller, partner: Json) -> None:
    """Three of ten users leave; somebody comes, and somebody takes another name."""
    known = caller.meta.partner(partner["meta_business_id"])
    people = [key for key, user in truth.users(known).items() if user["kind"] == "person"]
    for person in people[:3]:
        caller.meta.mutate("leave", person=person)
    caller.meta.mutate("rename", id=people[3], name="Renata Renamed")
    caller.meta.mutate("join", partner=known["id"], name="Nova Newcomer")


def halted(caller: Caller, job: Json) -> Json:
    """The job once the safeguard has stopped it."""
    return wait_until(lambda: caller.job(job), lambda seen: seen["status"] == "halted")


def plan_of(job: Json) -> str:
    """Where its plan is."""
    return f"/v1/sync-jobs/{job['id']}/plan"


def feed(caller: Caller) -> list[Json]:
    """All that was told."""
    return caller.everything("/v1/changes", page_size=100)


def assert_truth_is_shown(caller: Caller, partner: Json) -> None:
    """Users are Meta's, and whoever has followed the feed knows the same ones."""
    known = caller.meta.partner(partner["meta_business_id"])
    assert truth.shown_users(caller.users(partner)) == truth.users(known)
    told = replay(feed(caller))
    everybody = caller.everything("/v1/partner-users", state="active", expand="grants")
    assert (told.wrong, told.shown()) == ([], shown(everybody))


def assert_refused(caller: Caller, path: str, body: Json | None = None) -> None:
    """What is decided on is no longer the plan."""
    answer = caller.ask("POST", path, json=body)
    assert (answer.status_code, answer.json()["code"]) == (409, "plan_stale")


def test_a_plan_halts_one_partner_only_and_is_done_once_approved(
    caller: Caller, guarded: tuple[Json, dict[str, Json]], partner: Json
) -> None:
    """It is shown page by page, others are checked meanwhile, and what is done is the plan."""
    integration, partners = guarded
    other = caller.connected(first_with(partners, "client"))
    users, told = caller.users(partner), feed(caller)
    let_many_go(caller, partner)

    parent = caller.ended(caller.start_check(integration))

    assert (parent["status"], parent["status_label"]) == ("halted", "Halted")
    children = caller.children(parent)
    job = children[partner["id"]]
    assert (job["status"], job["finished_at"], job["partial"]) == ("halted", None, False)
    assert children[other["id"]]["status"] == "completed"
    assert caller.users(partner) == users
    assert feed(caller) == told

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
    # The plan stays with the check that made it; this one says that it could not check everybody.
    assert (again["status"], again["partial"]) == ("completed", True)
    assert [warning["code"] for warning in again["warnings"]] == ["plan_open"]
    assert partner["id"] not in caller.children(again)
    assert caller.job(parent)["status"] == "halted"

    assert_refused(caller, f"{plan_of(job)}/approve", {"digest": "0" * 64})
    assert feed(caller) == told
    body = {"digest": plan["digest"]}
    assert caller.ask("POST", f"{plan_of(job)}/approve", json=body).status_code == 202

    done = caller.ended(job)
    assert (done["status"], done["counts"]["removed"]) == ("completed", 3)
    # One to make the plan and one to carry it out.
    assert done["attempt"] == 2
    news = feed(caller)[len(told) :]
    # It is made anew from what was read, and a database may find the same rows in another order.
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
    """The same for the same changes, whichever comes first."""
    return sorted(json.dumps(change, sort_keys=True) for change in changes)


@pytest.mark.parametrize("stack", ["embedded"], indirect=True)
def test_after_a_rejected_plan_a_new_check_makes_a_new_one(caller: Caller, partner: Json) -> None:
    """Nothing of the first is done; meanwhile somebody else left, which only the second tells."""
    users, told = caller.users(partner), feed(caller)
    let_many_go(caller, partner)
    job = halted(caller, caller.start_check(partner))
    digest = caller.get(plan_of(job))["digest"]

    rejected = caller.ask("POST", f"{plan_of(job)}/reject", json={"digest": digest})

    assert (rejected.status_code, rejected.json()["status"]) == (200, "cancelled")
    assert rejected.json()["finished_at"] is not None
    assert (caller.users(partner), feed(caller)) == (users, told)
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
def test_a_plan_that_another_token_made_is_not_carried_out(caller: Caller, partner: Json) -> None:
    """The new token may see more: the check that made the plan is over, and a new one decides."""
    users = caller.users(partner)
    let_many_go(caller, partner)
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
def test_a_plan_ends_with_the_connection_that_made_it(caller: Caller, partner: Json) -> None:
    """Disconnecting leaves no plan behind that would keep the next check from beginning."""
    let_many_go(caller, partner)
    job = halted(caller, caller.start_check(partner))

    assert caller.ask("DELETE", f"/v1/partners/{partner['id']}/token").status_code == 200

    assert caller.job(job)["status"] == "cancelled"
    again = caller.meta.mutate("new_token", partner=partner["meta_business_id"])["token"]
    assert caller.connect(partner, again)["verdict"] == "connectable"
    assert caller.get(plan_of(halted(caller, caller.start_check(partner))))["status"] == "open"


@pytest.mark.parametrize("stack", ["separate"], indirect=True)
def test_a_plan_that_nobody_answers_in_time_is_swept_away(
    stack: Stack, caller: Caller, guarded: tuple[Json, dict[str, Json]], partner: Json
) -> None:
    """It cannot be approved any more, and the next sweep cancels the job and clears up."""
    users = caller.users(partner)
    let_many_go(caller, partner)
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
