"""Traces of a journey, as a collector gets them: one for a request, its job and its calls of Meta;
and nothing that is nobody's business.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.journey.caller import Caller, first_with, wait_until
from tests.journey.canaries import search
from tests.journey.stacks import embedded_stack
from tests.support.collectors import Collector, attributes, collector
from tests.support.processes import run_cli
from tests.support.receivers import Receiver, receiver

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"
CUSTOMERS = "CustomersOwnSecret"


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Collector, set[str]]]:
    """What a collector has after a journey, and the secrets that were in use."""
    directory = tmp_path_factory.mktemp("traced")
    with collector() as taken, receiver() as server:
        with embedded_stack(directory, settings={"TRACES_ENDPOINT": taken.url}) as stack:
            with stack.caller() as caller:
                secrets = journey(caller, server) | stack.secrets
            assert stack.api.stop() == 0
        yield taken, secrets


def journey(caller: Caller, server: Receiver) -> set[str]:
    """Answers every secret, name and address that took part."""
    hook = {"url": f"{server.url}/{CUSTOMERS}", "event_types": ["sync_job.completed"]}
    made = caller.ask("POST", "/v1/webhook-endpoints", json=hook).json()
    server.secret = made["signing_secret"]
    _, partners = caller.discover()
    partner = caller.connected(first_with(partners, "agency"))
    caller.ask("GET", f"/nowhere/{CUSTOMERS}", params={"q": CUSTOMERS})
    caller.ask("GET", "/v1/partner-users", params={"email": CUSTOMERS})
    traced = {"traceparent": f"00-{TRACE}-{CALLER}-01", "tracestate": f"vendor={CUSTOMERS}"}
    path = f"/v1/partners/{partner['id']}/sync-jobs"
    caller.ended(caller.ask("POST", path, json={}, headers=traced).json())
    wait_until(lambda: len(server.accepted), lambda number: number >= 3)
    assert caller.ask("DELETE", f"/v1/webhook-endpoints/{made['id']}").status_code == 204
    users = caller.users(partner)
    assert users
    persons = {str(user[key]) for user in users for key in ("name", "email")} - {"None"}
    return {CUSTOMERS, server.secret, partner["name"]} | persons | caller.meta.tokens()


def test_one_trace_from_the_caller_to_meta(told: tuple[Collector, set[str]]) -> None:
    """Who called, the request, the run that it asked for, its steps, and their calls of Meta."""
    spans = {span.span_id: span for span in told[0].spans() if span.trace_id.hex() == TRACE}
    (request,) = (span for span in spans.values() if span.parent_span_id.hex() == CALLER)
    assert request.name == "POST /v1/partners/{partner_id}/sync-jobs"
    facts = attributes(request)
    assert facts["http.response.status_code"] == 202
    assert str(facts["request_id"]).startswith("req_")
    (run,) = (span for span in spans.values() if span.name == "run sync_partner")
    assert run.parent_span_id == request.span_id
    calls = [span for span in spans.values() if span.name.startswith("graph ")]
    assert calls
    for call in calls:
        assert attributes(call)["outcome"] == "ok"
        step = spans[call.parent_span_id]
        assert step.name.startswith("step ")
        assert step.parent_span_id == run.span_id
        assert attributes(step)["workspace_id"] == facts["workspace_id"]


def test_what_else_is_traced(told: tuple[Collector, set[str]]) -> None:
    """A run of a whole integration has those that it starts; messages tell their host and end."""
    spans = told[0].spans()
    by_id = {span.span_id: span for span in spans}
    names = {span.name for span in spans}
    assert {"run sync_integration", "run validate_token", "GET (unknown)"} <= names
    messages = [attributes(span) for span in spans if span.name == "webhook"]
    assert messages
    assert {(each["server.address"], each["outcome"]) for each in messages} == {
        ("127.0.0.1", "delivered")
    }
    for span in spans:
        if span.name == "run validate_token":
            assert asked_by(by_id, span).name.startswith(("PUT ", "POST "))


def asked_by(spans: dict[bytes, Span], span: Span) -> Span:
    """The span above it."""
    return spans[span.parent_span_id]


def test_nothing_else_is_told(told: tuple[Collector, set[str]]) -> None:
    """No token, secret, name, address or query of anybody's in any byte."""
    taken, secrets = told
    assert len(taken.spans()) > 30
    assert len(secrets) > 50
    places = {f"export {number}": body for number, body in enumerate(taken.raw)}
    assert search(secrets, places) == []
    assert search(["run sync_partner", "server.address"], places), "it finds what is there"
    assert not any(span.events for span in taken.spans())


def test_nobody_pays_for_what_nobody_takes(tmp_path: Path) -> None:
    """Without the setting none of the code that sends is loaded."""
    code = (
        "import sys; from partner_connector import cli; "
        "print([name for name in sys.modules if name.startswith('opentelemetry.sdk') "
        "or name.startswith('opentelemetry.exporter') or name == 'google.protobuf'])"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert loaded.stdout.strip() == "[]"
    refused = run_cli(
        "worker", settings={"TRACES_ENDPOINT": "https://user:pass@collector/"}, cwd=tmp_path
    )
    assert (refused.returncode, "TRACES_ENDPOINT" in refused.stderr) == (1, True)
    assert "pass" not in refused.stderr.replace("PARTNER", "")
