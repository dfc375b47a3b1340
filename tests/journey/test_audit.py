"""Single audit chain for the decisions of the API and of the worker."""

import pytest

from tests.journey.caller import Caller, first_with

pytestmark = pytest.mark.by_day("separate")


def test_api_and_worker_write_one_chain(caller: Caller) -> None:
    """Assert that the API accepts a token and the worker activates it; the chain stays valid."""
    before = len(caller.everything("/v1/audit-events", page_size=100))
    _, partners = caller.discover()
    partner = caller.connected(first_with(partners, "agency"))
    assert caller.ask("DELETE", f"/v1/partners/{partner['id']}/token").status_code == 200

    everything = caller.everything("/v1/audit-events", page_size=100)[::-1]
    events = everything[before:]
    assert [(event["actor"], event["action"]) for event in events] == [
        ("api_key", "integration.created"),
        ("api_key", "token.handed_over"),
        ("worker", "token.activated"),
        ("api_key", "token.handed_over"),
        ("worker", "token.activated"),
        ("api_key", "partner.disconnected"),
    ]
    handed_over, activated = (event["details"] for event in events[3:5])
    assert handed_over["validation"] == activated["validation"] == events[4]["request_id"]
    assert (activated["verdict"], events[4]["api_key_id"]) == ("connectable", None)
    found = caller.get("/v1/audit-events/verify")
    assert (found["intact"], found["events"]) == (True, len(everything))
