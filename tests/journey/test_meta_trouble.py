"""Meta is down or refuses calls: work waits, the API answers, and no action is needed."""

import time
from datetime import UTC, datetime

import pytest

from tests.journey import truth
from tests.journey.caller import Caller, at_once, first_with, wait_until
from tests.journey.meta import Json
from tests.journey.stacks import Stack

pytestmark = pytest.mark.by_day("separate")

# The response of a throttled call, and the seconds after which work may continue at the earliest.
THROTTLED: dict[str, tuple[Json, float]] = {
    "app limit, no word on how long": ({"error": {"code": 4}}, 60),
    "app limit with its usage": (
        {
            "error": {"code": 4},
            "usage": {"x-app-usage": {"call_count": 100, "total_cputime": 20, "total_time": 20}},
        },
        60,
    ),
    "ad account limit with a time to regain access": (
        {
            "error": {"code": 80004, "subcode": 2446079},
            "usage": {
                "x-business-use-case-usage": {
                    "1": [
                        {
                            "type": "ads_management",
                            "call_count": 100,
                            "total_cputime": 10,
                            "total_time": 10,
                            "estimated_time_to_regain_access": 7,
                        }
                    ]
                }
            },
        },
        7 * 60,
    ),
}

HICCUPS: list[Json] = [
    {"http": 500, "body": "<html>oops</html>"},
    {"reset": True},
    {"empty_body": True},
    {"service_unavailable_200": True},
    {"ok_with_error_body": {"code": 2}},
    {"null_batch_item": True},
    {"error": {"code": 1, "is_transient": True}},
]


@pytest.mark.parametrize("stack", ["embedded"], indirect=True)
def test_while_meta_is_down_work_waits_and_the_api_answers(caller: Caller) -> None:
    """Assert that nothing fails, and that both complete by themselves when Meta is back."""
    integration, partners = caller.discover()
    known, new = first_with(partners, "agency"), first_with(partners, "client")
    caller.connected(known)
    token = caller.meta.token(new["meta_business_id"])
    caller.meta.down(True)

    answer = caller.ask("PUT", f"/v1/partners/{new['id']}/token", json={"access_token": token})
    assert answer.status_code == 202
    job = caller.start_check(known)
    slowest = 0.0
    for path in ("/readyz", "/v1/partners", f"/v1/partner-users?partner_id={known['id']}") * 5:
        started = time.monotonic()
        assert caller.ask("GET", path).status_code == 200
        slowest = max(slowest, time.monotonic() - started)
    assert slowest < 1.0
    print(f"slowest read while Meta is down: {slowest * 1000:.0f} ms")

    location = answer.headers["Location"]
    validation = wait_until(lambda: caller.get(location), lambda seen: seen["resume_at"])
    assert (validation["status"], validation["verdict"]) == ("running", None)
    job = caller.waiting(job)
    assert (job["status_label"], job["waiting_reason"]) == ("Retrying", "retrying")
    assert job["error"] is None
    assert 0 < seconds_until(job["resume_at"]) < 10
    assert caller.partner(new)["onboarding_status"] == "pending_onboarding"
    assert caller.partner(known)["onboarding_status"] == "onboarded"

    caller.meta.down(False)
    job = caller.ended(job)
    assert (job["status"], job["error"], job["waiting_reason"]) == ("completed", None, None)
    assert job["attempt"] > 1
    validation = wait_until(lambda: caller.get(location), lambda seen: seen["completed_at"])
    assert validation["verdict"] == "connectable"
    assert caller.partner(new)["onboarding_status"] == "onboarded"
    caller.settle(new)
    assert integration["health"] == "healthy"


def test_throttled_check_waits_as_long_as_meta_asks(stack: Stack, caller: Caller) -> None:
    """Assert that each kind of limit parks the job with its reason, for at least Meta's wait."""
    _, partners = caller.discover()
    chosen = [first_with(partners, side) for side in ("agency", "client", "both")]
    at_once(caller.connected, chosen)
    for partner, (fault, at_least) in zip(chosen, THROTTLED.values(), strict=True):
        owner = f"{partner['meta_business_id']}/good"
        caller.meta.fault({"edge": "business_users", "owner": owner}, fault)

        job = caller.start_check(partner)

        waiting = caller.waiting(job)
        assert (waiting["waiting_reason"], waiting["status_label"]) == ("rate_limited", "Retrying")
        assert at_least - 5 < seconds_until(waiting["resume_at"]) < at_least * 1.1 + 5
        assert waiting["error"] is None
        caller.meta.heal()
        # Otherwise the app's limit would block the other partners too.
        stack.forget_limits()
        assert caller.start_check(partner)["id"] == job["id"]


def test_single_bad_responses_are_retried(caller: Caller) -> None:
    """Assert that single bad responses of every kind change nothing."""
    _, partners = caller.discover()
    partner = caller.connected(first_with(partners, "both"))
    users = truth.users(caller.meta.partner(partner["meta_business_id"]))

    for number, fault in enumerate(HICCUPS):
        caller.meta.fault({"edge": "assigned_users"}, fault, after=number, times=1)
    job = caller.check(partner)

    assert job["partial"] is False
    assert job["attempt"] == 1
    assert job["counts"]["unchanged"] == len(users)
    assert truth.shown_users(caller.users(partner)) == users


def seconds_until(instant: str) -> float:
    """Return the seconds from now until then."""
    return (datetime.fromisoformat(instant) - datetime.now(UTC)).total_seconds()


def test_wrong_app_secret_does_not_mark_partner_tokens_dead(caller: Caller) -> None:
    """Assert that a 190 on an inspection concerns the app's token, not the inspected one."""
    _, partners = caller.discover()
    partner = caller.connected(first_with(partners, "agency"))
    caller.meta.fault({"edge": "debug_token"}, {"error": {"code": 190, "message": "Invalid"}})

    job = caller.check(partner)

    # What the token covered is known, and not readable now: that is no evidence that a user left.
    assert [warning["code"] for warning in job["warnings"]] == ["token_narrowed"]
    assert job["counts"]["removed"] == 0
    shown = caller.get(f"/v1/partners/{partner['id']}/token")
    assert shown["health"] == "healthy"
