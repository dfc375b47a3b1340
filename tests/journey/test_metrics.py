"""`/metrics` of real processes: what a worker counts, and a port of its own."""

import re
import socket
from pathlib import Path

import httpx
import pytest

from tests.journey.caller import Caller, first_with, wait_until
from tests.support.processes import api_process, run_cli


def value(exposition: str, sample: str) -> float:
    """Of one series; 0 where it is not there yet."""
    found = re.search(rf"^{re.escape(sample)} (\S+)$", exposition, flags=re.MULTILINE)
    return float(found[1]) if found else 0.0


@pytest.mark.parametrize("stack", ["embedded"], indirect=True)
def test_what_a_worker_does_is_counted(caller: Caller) -> None:
    """Each job that ends, once; each request to Meta with its outcome; the time of a check."""
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


def test_a_port_of_its_own(tmp_path: Path) -> None:
    """There it is served, and not on the API's; one that is taken is named."""
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
