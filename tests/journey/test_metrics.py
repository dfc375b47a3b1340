"""`/metrics` of real processes: the worker's counts, and a separate port."""

import re
import socket
from pathlib import Path

import httpx
import pytest

from tests.journey.caller import Caller, first_with, wait_until
from tests.support.processes import api_process, run_cli


def value(exposition: str, sample: str) -> float:
    """Return the value of one series; 0 where it does not exist yet."""
    found = re.search(rf"^{re.escape(sample)} (\S+)$", exposition, flags=re.MULTILINE)
    return float(found[1]) if found else 0.0


@pytest.mark.parametrize("stack", ["embedded"], indirect=True)
def test_worker_counts_jobs_requests_and_durations(caller: Caller) -> None:
    """Assert the counts of ended jobs and of requests to Meta, and the duration of a check."""
    ended = 'partner_connector_sync_jobs_ended_total{status="completed",task="sync_partner"}'
    timed = 'partner_connector_sync_job_duration_seconds_count{task="sync_partner"}'
    asked = 'partner_connector_graph_requests_total{outcome="ok"}'
    _, partners = caller.discover()
    partner = caller.connected(first_with(partners, "agency"))
    before = caller.ask("GET", "/metrics").text

    caller.check(partner)

    after = wait_until(
        lambda: caller.ask("GET", "/metrics").text,
        lambda seen: value(seen, ended) > value(before, ended),
    )
    assert value(after, ended) == value(before, ended) + 1
    assert value(after, timed) == value(before, timed) + 1
    assert value(after, asked) > value(before, asked)
    assert partner["id"] not in after


def test_metrics_are_served_on_a_separate_port(tmp_path: Path) -> None:
    """Assert that the metrics are on that port and not on the API's; an occupied port is named."""
    with socket.create_server(("", 0)) as taken:
        port = str(taken.getsockname()[1])
        settings = {"DATA_DIR": str(tmp_path / "data"), "METRICS_PORT": port}
        refused = run_cli("serve", "--port", "0", settings=settings, cwd=tmp_path)
        assert refused.returncode == 1
        assert "METRICS_PORT" in refused.stderr
    with api_process(settings, tmp_path) as api, httpx.Client(trust_env=False) as client:
        assert client.get(f"{api.url}/metrics").status_code == 404
        answer = client.get(f"http://127.0.0.1:{port}/metrics")
        assert "partner_connector_http_requests_total" in answer.text
        assert api.stop() == 0
