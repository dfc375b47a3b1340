"""Event streams of real checks over real HTTP."""

import pytest

from tests.journey.caller import Caller, first_with
from tests.journey.following import Following
from tests.journey.meta import Json
from tests.journey.stacks import Stack
from tests.support.event_streams import events_in, resuming

pytestmark = pytest.mark.by_day("separate")

SLOW = 0.3


def test_streams_and_pages_return_the_same_job_events(stack: Stack, caller: Caller) -> None:
    """Compare a stream, an interrupted stream and pages, of a child job and its parent job.

    All have the same events, and the last event has the job's final state.
    """
    integration, partners = caller.discover()
    caller.connected(first_with(partners, "both"))
    caller.meta.latency(SLOW)
    parent = caller.start_check(integration)
    followed = [Following(stack.api.url, caller, parent, hang_up=at) for at in (False, True)]
    caller.ended(parent)
    caller.meta.latency(0.0)

    [child] = caller.children(parent).values()
    for job in (parent, child):
        path = f"/v1/sync-jobs/{job['id']}/events"
        polled = caller.everything(path, page_size=2)
        assert [event["id"] for event in polled] == [str(n + 1) for n in range(len(polled))]
        assert_events_match_job(polled, caller.job(job))
        for seen in range(len(polled) + 1):
            answer = caller.ask("GET", path, headers=resuming(str(seen)))
            assert events_in(answer.text.splitlines()) == polled[seen:]
    for each in followed:
        assert each.all_events() == caller.everything(f"/v1/sync-jobs/{parent['id']}/events")
    phases = {event["progress"]["phase"] for event in followed[0].events}
    assert {"queued", "checking_partners", "finished"} <= phases


def assert_events_match_job(events: list[Json], job: Json) -> None:
    """Assert that the events go from the request to the final state of the job."""
    assert events[0]["status"] == "queued"
    assert [event["final"] for event in events] == [False] * (len(events) - 1) + [True]
    last = events[-1]
    for member in ("status", "status_label", "progress", "counts", "partial", "attempt"):
        assert last[member] == job[member], member
    instants = [event["occurred_at"] for event in events]
    assert instants == sorted(instants)
