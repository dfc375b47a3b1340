"""Rate-limit budgets shared by two workers: one learns of a limit, and the other obeys it."""

import time
from datetime import UTC, datetime

import psycopg
import pytest

from partner_connector.ids import decode
from tests.journey.caller import Caller, first_with, wait_until
from tests.journey.meta import Json
from tests.journey.stacks import LIMITS_ARE_KNOWN_AFTER_SECONDS, Stack

pytestmark = pytest.mark.by_day("separate")

SEPARATE = pytest.mark.parametrize("stack", ["separate"], indirect=True)
# Either of the two workers may take a job.
MANY = 30
# Otherwise the list of assets includes their users, and no ad account is read by itself.
PEOPLE_ARE_ASKED_FOR_BY_ASSET: Json = {
    "match": {"expands": "assigned_users"},
    "fault": {"error": {"code": 100}},
}


@SEPARATE
def test_no_worker_sends_calls_at_the_apps_limit(stack: Stack, caller: Caller) -> None:
    """Assert that one worker is throttled.

    The other parks its work without a call, until the same time.
    """
    _, partners = caller.discover()
    partner, other = first_with(partners, "agency"), first_with(partners, "both")
    caller.connected(partner)
    refusal = {"error": {"code": 4}, "usage": use_case("1", minutes=3)}
    caller.meta.fault({"edge": "business_users"}, refusal)
    job = caller.waiting(caller.start_check(partner))
    assert_parked(job, seconds=180)
    throttled_worker = worker_of(stack, job)
    workers_know_the_limits(caller)

    validations = until_another_worker_has_one(stack, caller, other, throttled_worker)

    assert caller.meta.calls()["http_requests"] == 0
    for validation in validations:
        assert validation["verdict"] is None
        assert 120 < seconds_until(validation["resume_at"]) < 180 * 1.1


@SEPARATE
def test_token_limit_blocks_that_token_on_every_worker(stack: Stack, caller: Caller) -> None:
    """Assert that no worker reads with our own token.

    Work with partners' tokens continues.
    """
    integration, partners = caller.discover()
    partner, client = first_with(partners, "agency"), first_with(partners, "client")
    caller.connected(partner)
    refusal = {"error": {"code": 17}, "usage": use_case("1", minutes=2)}
    caller.meta.fault({"edge": "agencies", "owner": "host/"}, refusal)
    job = caller.waiting(caller.start_check(integration))
    assert_parked(job, seconds=120)
    throttled_worker = worker_of(stack, job)
    workers_know_the_limits(caller)

    validations = until_another_worker_has_one(stack, caller, client, throttled_worker)

    for validation in validations:
        assert validation["verdict"] is None
        assert 60 < seconds_until(validation["resume_at"]) < 120 * 1.1
    assert caller.check(partner)["partial"] is False
    by_owner = caller.meta.calls()["by_token_owner"]
    assert by_owner.get("host/good", 0) == 0
    assert by_owner[f"{client['meta_business_id']}/good"] >= len(validations)
    assert by_owner[f"{partner['meta_business_id']}/good"] > 0


@pytest.mark.nightly
def test_ad_account_limit_blocks_only_that_account(stack: Stack, caller: Caller) -> None:
    """Assert that no workspace reads this ad account, and that all others are read."""
    _, partners = caller.discover()
    partner, other = first_with(partners, "agency"), first_with(partners, "both")
    with stack.caller() as neighbour:
        _, theirs = neighbour.discover()
        same = theirs[partner["meta_business_id"]]
        for customer, item in ((caller, partner), (caller, other), (neighbour, same)):
            customer.connected(item)
        caller.meta.fault(**PEOPLE_ARE_ASKED_FOR_BY_ASSET)
        number = an_ad_account_of(caller, partner, but_not_of=other)
        refusal = {
            "error": {"code": 80004, "subcode": 2446079},
            "usage": use_case(number, minutes=2),
        }
        caller.meta.fault({"path_prefix": f"act_{number}/assigned_users"}, refusal)
        job = caller.waiting(caller.start_check(partner))
        assert_parked(job, seconds=120)
        workers_know_the_limits(caller)
        caller.meta.fault(**PEOPLE_ARE_ASKED_FOR_BY_ASSET)

        rests_too = neighbour.waiting(neighbour.start_check(same))
        assert_parked(rests_too, seconds=120)
        assert caller.check(other)["partial"] is False

        asked = [call["path"] for call in caller.meta.calls()["recent"]]
        assert not [path for path in asked if f"act_{number}" in path]
        assert [path for path in asked if "assigned_users" in path]


@pytest.mark.nightly
def test_job_completes_by_itself_after_the_limit(caller: Caller) -> None:
    """Assert that the job needs no request after the wait that Meta asks for."""
    _, partners = caller.discover()
    partner = caller.connected(first_with(partners, "client"))
    refusal = {"error": {"code": 4}, "usage": use_case("1", minutes=0.05)}
    caller.meta.fault({"edge": "business_users"}, refusal, times=1)

    job = caller.ended(caller.start_check(partner))

    assert (job["status"], job["partial"], job["waiting_reason"]) == ("completed", False, None)
    assert job["attempt"] == 2


def test_used_up_budget_blocks_calls_before_meta_refuses(caller: Caller) -> None:
    """Assert that the next call waits when Meta reports 100 % on a good response."""
    _, partners = caller.discover()
    partner = caller.connected(first_with(partners, "client"))
    caller.meta.forget_calls()
    full = {"x-app-usage": {"call_count": 100, "total_cputime": 1, "total_time": 1}}
    caller.meta.fault({"edge": "debug_token"}, {"usage": full})

    job = caller.waiting(caller.start_check(partner))

    assert_parked(job, seconds=60)
    calls = caller.meta.calls()
    # Only the calls that were sent at the same time, the lists of both directions, are counted.
    assert calls["http_requests"] == 3
    assert "assigned_users" not in calls["by_edge"]


def use_case(object_id: str, minutes: float) -> Json:
    """Return the usage header of a budget that is used up for so many minutes."""
    entry = {
        "type": "ads_management",
        "call_count": 100,
        "estimated_time_to_regain_access": minutes,
    }
    return {"x-business-use-case-usage": {object_id: [entry]}}


def assert_parked(job: Json, *, seconds: float) -> None:
    """Assert that the job is parked for that long because of a limit, without an error."""
    assert (job["status"], job["waiting_reason"]) == ("waiting", "rate_limited")
    assert job["error"] is None
    # At most 10 % longer, so that jobs do not all resume at once.
    assert seconds - 10 < seconds_until(job["resume_at"]) < seconds * 1.1


def workers_know_the_limits(caller: Caller) -> None:
    """Remove the limits from Meta, and wait until every worker has read the shared budgets."""
    caller.meta.heal()
    time.sleep(LIMITS_ARE_KNOWN_AFTER_SECONDS)
    caller.meta.forget_calls()


def until_another_worker_has_one(
    stack: Stack, caller: Caller, partner: Json, worker: str
) -> list[Json]:
    """Start validations of this partner's token until another worker parks one."""
    path = f"/v1/partners/{partner['id']}/token-validations"
    token = caller.meta.token(partner["meta_business_id"])
    validations: list[Json] = []
    for _ in range(MANY):
        # In a new sealed box, or the request would join the parked validation.
        location = caller.ask("POST", path, json=caller.sealed(token)).headers["Location"]
        validations.append(at_rest(caller, location))
        if worker_of(stack, validations[-1]) != worker:
            return validations
    raise AssertionError("one worker did everything")


def at_rest(caller: Caller, location: str) -> Json:
    """Wait until the validation at this address waits for Meta, and return it."""
    return wait_until(lambda: caller.get(location), lambda seen: bool(seen["resume_at"]))


def worker_of(stack: Stack, work: Json) -> str:
    """Return the worker of the first attempt of this job or validation, by the engine's record."""
    assert stack.database_url is not None
    number = decode(work["id"].partition("_")[0], work["id"])
    with psycopg.connect(stack.database_url) as server:
        row = server.execute(
            "SELECT executor_id FROM dbos.workflow_status WHERE workflow_uuid LIKE %s",
            [f"%:{number}:1"],
        ).fetchone()
    assert row is not None
    assert row[0] in stack.workers
    return str(row[0])


def an_ad_account_of(caller: Caller, partner: Json, *, but_not_of: Json) -> str:
    """Return an ad account that only the first partner has access to."""
    theirs, others = (
        {
            str(asset["meta_id"])
            for asset in caller.everything(f"/v1/partners/{owner['id']}/assets", type="ad_account")
        }
        for owner in (partner, but_not_of)
    )
    return min(theirs - others)


def seconds_until(instant: str) -> float:
    """Return the seconds from now until then."""
    return (datetime.fromisoformat(instant) - datetime.now(UTC)).total_seconds()
