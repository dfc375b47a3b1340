"""Traces as a collector gets them: one for a request, its job and its calls to Meta."""

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
def collected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Collector, set[str]]]:
    """Spans of a collector after a journey, and the secrets that were used."""
    directory = tmp_path_factory.mktemp("traced")
    with collector() as taken, receiver() as server:
        with embedded_stack(directory, settings={"TRACES_ENDPOINT": taken.url}) as stack:
            with stack.caller() as caller:
                secrets = journey(caller, server) | stack.secrets
            assert stack.api.stop() == 0
        yield taken, secrets


def journey(caller: Caller, server: Receiver) -> set[str]:
    """Return every secret, name and address that was used."""
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


def test_one_trace_from_the_caller_to_meta(collected: tuple[Collector, set[str]]) -> None:
    """Assert that caller, request, workflow run, steps and calls to Meta are one trace."""
    spans = {span.span_id: span for span in collected[0].spans() if span.trace_id.hex() == TRACE}
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


def test_child_runs_and_webhook_messages_are_traced(collected: tuple[Collector, set[str]]) -> None:
    """Assert the child runs of an integration, and host and outcome of webhook messages."""
    spans = collected[0].spans()
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
            assert parent_of(by_id, span).name.startswith(("PUT ", "POST "))


def parent_of(spans: dict[bytes, Span], span: Span) -> Span:
    """Return the parent span."""
    return spans[span.parent_span_id]


def test_traces_hold_no_secret_or_personal_data(collected: tuple[Collector, set[str]]) -> None:
    """Assert that no byte has a token, secret, name, address or query string."""
    taken, secrets = collected
    assert len(taken.spans()) > 30
    assert len(secrets) > 50
    places = {f"export {number}": body for number, body in enumerate(taken.raw)}
    assert search(secrets, places) == []
    assert search(["run sync_partner", "server.address"], places), "it finds what is there"
    assert not any(span.events for span in taken.spans())


def test_exporter_is_not_imported_without_the_setting(tmp_path: Path) -> None:
    """Assert that the exporter's code stays out of the process by default."""
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
