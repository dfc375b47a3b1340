"""Cancellation of a check for updates while Meta answers slowly."""

import pytest

from partner_connector.ids import decode
from tests.journey import truth
from tests.journey.caller import Caller, at_once, first_with, one, wait_until
from tests.journey.meta import Json
from tests.journey.operating import one_more_worker, staged
from tests.journey.stacks import Stack

pytestmark = pytest.mark.by_day("separate")

SLOWLY = 0.8
IN_THE_MIDDLE = {"listing_assets", "listing_people", "reading_access"}


def cancelled(caller: Caller, job: Json) -> Json:
    """Cancel the job and return the response."""
    answer = caller.ask("POST", f"/v1/sync-jobs/{job['id']}/cancel")
    assert answer.status_code == 200, answer.text
    seen: Json = answer.json()
    return seen


def replace_a_user(caller: Caller, partner: Json) -> None:
    """Make one user leave and another join."""
    known = caller.meta.partner(partner["meta_business_id"])
    leaver = next(person["id"] for person in known["people"] if person["has_access"])
    caller.meta.mutate("leave", person=leaver)
    caller.meta.mutate("join", partner=known["id"])


def event_of(caller: Caller, job: Json) -> Json:
    """Return the audit event about this job."""
    events = caller.everything("/v1/audit-events")
    return one(event for event in events if event["subject"] == job["id"])


def assert_truth_is_shown(caller: Caller, partner: Json) -> None:
    """Assert that the users are those of Meta."""
    known = caller.meta.partner(partner["meta_business_id"])
    assert truth.shown_users(caller.users(partner)) == truth.users(known)


def test_cancelled_check_applies_nothing(stack: Stack, caller: Caller) -> None:
    """Assert that a check cancelled while it reads changes nothing, and frees the worker."""
    _, partners = caller.discover()
    chosen = [first_with(partners, side) for side in ("agency", "client")]
    partner, other = at_once(caller.connected, chosen)
    users, changes = caller.users(partner), caller.everything("/v1/changes", page_size=100)
    replace_a_user(caller, partner)
    caller.meta.latency(SLOWLY)
    job = caller.start_check(partner)
    wait_until(lambda: caller.job(job), lambda seen: seen["progress"]["phase"] in IN_THE_MIDDLE)

    ended = cancelled(caller, job)

    assert (ended["status"], ended["status_label"]) == ("cancelled", "Cancelled")
    assert ended["finished_at"] is not None
    caller.meta.latency(0.0)
    assert caller.check(other)["attempt"] == 1
    assert caller.partner(partner) == partner
    assert caller.users(partner) == users
    assert caller.everything("/v1/changes", page_size=100) == changes
    if stack.database_url is not None:
        job_id = decode("job", job["id"])
        assert staged(stack, job_id) > 0
        with one_more_worker(stack):
            wait_until(lambda: staged(stack, job_id), lambda rows: rows == 0)

    new = caller.check(partner)

    assert new["id"] != job["id"]
    assert (new["counts"]["added"], new["counts"]["removed"]) == (1, 1)
    assert_truth_is_shown(caller, partner)
    assert cancelled(caller, job) == caller.job(job) == ended
    event = event_of(caller, job)
    assert event["action"] == "sync_job.cancelled"
    assert event["details"] == {"was": "running", "cancelled_checks": 0}


@pytest.mark.parametrize("stack", ["separate"], indirect=True)
def test_cancelling_a_parent_job_cancels_its_child_jobs(caller: Caller) -> None:
    """Assert that a parent cancelled before it has child jobs ends.

    The next check finds everything.
    """
    integration, partners = caller.discover()
    chosen = at_once(caller.connected, partners.values())
    at_once(lambda partner: replace_a_user(caller, partner), chosen)
    caller.meta.latency(SLOWLY)

    early = caller.start_check(integration)
    assert cancelled(caller, early)["status"] == "cancelled"
    parent = caller.start_check(integration)
    assert parent["id"] != early["id"]
    wait_until(lambda: caller.children(parent), lambda found: len(found) == len(chosen))
    ended = cancelled(caller, parent)

    assert (ended["status"], ended["progress"]["phase"]) == ("cancelled", "finished")
    assert ended["finished_at"] is not None
    children = caller.children(parent).values()
    assert {child["status"] for child in children} == {"cancelled"}
    assert all(child["finished_at"] is not None for child in children)
    assert event_of(caller, parent)["details"]["cancelled_checks"] == len(chosen)
    caller.meta.latency(0.0)
    assert len(caller.children(caller.check(integration))) == len(chosen)
    assert caller.children(early) == {}
    for partner in chosen:
        assert_truth_is_shown(caller, partner)
    assert {caller.job(child)["status"] for child in children} == {"cancelled"}
