"""Two workers with one allowance: what one of them learns of Meta's limits, the other heeds."""

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
# Each is taken by one of the two workers by chance.
MANY = 30
# Else the people on an asset come along with the list of assets, and no ad account is asked.
PEOPLE_ARE_ASKED_FOR_BY_ASSET: Json = {
    "match": {"expands": "assigned_users"},
    "fault": {"error": {"code": 100}},
}


@SEPARATE
def test_at_the_apps_limit_no_worker_sends_anything(stack: Stack, caller: Caller) -> None:
    """One worker is refused; the other parks its work without asking, until the same time."""
    _, partners = caller.discover()
    partner, other = first_with(partners, "agency"), first_with(partners, "both")
    caller.connected(partner)
    refusal = {"error": {"code": 4}, "usage": use_case("1", minutes=3)}
    caller.meta.fault({"edge": "business_users"}, refusal)
    job = caller.waiting(caller.start_check(partner))
    assert_rests(job, seconds=180)
    the_refused = worker_of(stack, job)
    everybody_knows(caller)

    proofs = until_another_worker_has_one(stack, caller, other, the_refused)

    assert caller.meta.calls()["http_requests"] == 0
    for proof in proofs:
        assert proof["verdict"] is None
        assert 120 < seconds_until(proof["resume_at"]) < 180 * 1.1


@SEPARATE
def test_a_tokens_limit_holds_back_that_token_on_every_worker(stack: Stack, caller: Caller) -> None:
    """Our own token rests, whoever reads with it; what partners' tokens can do goes on."""
    integration, partners = caller.discover()
    partner, client = first_with(partners, "agency"), first_with(partners, "client")
    caller.connected(partner)
    refusal = {"error": {"code": 17}, "usage": use_case("1", minutes=2)}
    caller.meta.fault({"edge": "agencies", "owner": "host/"}, refusal)
    job = caller.waiting(caller.start_check(integration))
    assert_rests(job, seconds=120)
    the_refused = worker_of(stack, job)
    everybody_knows(caller)

    proofs = until_another_worker_has_one(stack, caller, client, the_refused)

    for proof in proofs:
        assert proof["verdict"] is None
        assert 60 < seconds_until(proof["resume_at"]) < 120 * 1.1
    assert caller.check(partner)["partial"] is False
    by_owner = caller.meta.calls()["by_token_owner"]
    assert by_owner.get("host/good", 0) == 0
    assert by_owner[f"{client['meta_business_id']}/good"] >= len(proofs)
    assert by_owner[f"{partner['meta_business_id']}/good"] > 0


@pytest.mark.nightly
def test_an_ad_accounts_limit_holds_back_nothing_else(stack: Stack, caller: Caller) -> None:
    """Whoever reads it, in whichever workspace, leaves it alone, and all the others are read."""
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
        assert_rests(job, seconds=120)
        everybody_knows(caller)
        caller.meta.fault(**PEOPLE_ARE_ASKED_FOR_BY_ASSET)

        rests_too = neighbour.waiting(neighbour.start_check(same))
        assert_rests(rests_too, seconds=120)
        assert caller.check(other)["partial"] is False

        asked = [call["path"] for call in caller.meta.calls()["recent"]]
        assert not [path for path in asked if f"act_{number}" in path]
        assert [path for path in asked if "assigned_users" in path]


@pytest.mark.nightly
def test_a_limit_that_passes_is_not_noticed_but_by_the_clock(caller: Caller) -> None:
    """After the wait that Meta told, the job completes by itself."""
    _, partners = caller.discover()
    partner = caller.connected(first_with(partners, "client"))
    refusal = {"error": {"code": 4}, "usage": use_case("1", minutes=0.05)}
    caller.meta.fault({"edge": "business_users"}, refusal, times=1)

    job = caller.ended(caller.start_check(partner))

    assert (job["status"], job["partial"], job["waiting_reason"]) == ("completed", False, None)
    assert job["attempt"] == 2


def test_a_full_allowance_is_heeded_before_anything_is_refused(caller: Caller) -> None:
    """Meta reports 100 % on a good answer: the next call would be refused, so it waits."""
    _, partners = caller.discover()
    partner = caller.connected(first_with(partners, "client"))
    caller.meta.forget_calls()
    full = {"x-app-usage": {"call_count": 100, "total_cputime": 1, "total_time": 1}}
    caller.meta.fault({"edge": "debug_token"}, {"usage": full})

    job = caller.waiting(caller.start_check(partner))

    assert_rests(job, seconds=60)
    calls = caller.meta.calls()
    # What went out beside it, both sides' lists, and nothing that came to mind afterwards.
    assert calls["http_requests"] == 3
    assert "assigned_users" not in calls["by_edge"]


def use_case(object_id: str, minutes: float) -> Json:
    """The header of a budget that is used up for so many minutes."""
    entry = {
        "type": "ads_management",
        "call_count": 100,
        "estimated_time_to_regain_access": minutes,
    }
    return {"x-business-use-case-usage": {object_id: [entry]}}


def assert_rests(job: Json, *, seconds: float) -> None:
    """Parked for that long, since a limit is used up, and not in error."""
    assert (job["status"], job["waiting_reason"]) == ("waiting", "rate_limited")
    assert job["error"] is None
    # A tenth more at most, so that not all start together.
    assert seconds - 10 < seconds_until(job["resume_at"]) < seconds * 1.1


def everybody_knows(caller: Caller) -> None:
    """Meta would answer everything again, and every worker has looked what the others know."""
    caller.meta.heal()
    time.sleep(LIMITS_ARE_KNOWN_AFTER_SECONDS)
    caller.meta.forget_calls()


def until_another_worker_has_one(
    stack: Stack, caller: Caller, partner: Json, worker: str
) -> list[Json]:
    """Proofs of this partner's token that rest, the last of them in another worker's hands."""
    path = f"/v1/partners/{partner['id']}/token-validations"
    token = caller.meta.token(partner["meta_business_id"])
    proofs: list[Json] = []
    for _ in range(MANY):
        # In a box of its own, or it would join the proof that rests.
        location = caller.ask("POST", path, json=caller.sealed(token)).headers["Location"]
        proofs.append(at_rest(caller, location))
        if worker_of(stack, proofs[-1]) != worker:
            return proofs
    raise AssertionError("one worker did everything")


def at_rest(caller: Caller, location: str) -> Json:
    """The proof at this address once it waits for Meta."""
    return wait_until(lambda: caller.get(location), lambda seen: bool(seen["resume_at"]))


def worker_of(stack: Stack, work: Json) -> str:
    """The worker that had the first attempt of this job or proof, by the engine's record."""
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
    """The number of an ad account that the first has access to, and the second has not."""
    theirs, others = (
        {
            str(asset["meta_id"])
            for asset in caller.everything(f"/v1/partners/{owner['id']}/assets", type="ad_account")
        }
        for owner in (partner, but_not_of)
    )
    return min(theirs - others)


def seconds_until(instant: str) -> float:
    """From now on."""
    return (datetime.fromisoformat(instant) - datetime.now(UTC)).total_seconds()
