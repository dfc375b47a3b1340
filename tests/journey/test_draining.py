"""An API process that gets SIGTERM while clients wait."""

import threading
import time
from pathlib import Path

import httpx

from tests.journey.stacks import make_tenant
from tests.support.processes import api_process

WAIT_SECONDS = 25


def test_waiting_clients_are_answered_before_the_process_ends(tmp_path: Path) -> None:
    """Assert that SIGTERM answers `Prefer: wait` with 202, and that the exit code is 0."""
    settings = {"DATA_DIR": str(tmp_path / "var"), "GRAPH_BASE_URL": "http://127.0.0.1:9"}
    with api_process(settings, tmp_path) as api:
        tenant = make_tenant(settings, tmp_path)
        answers: list[httpx.Response] = []
        with httpx.Client(
            base_url=api.url,
            headers={"Authorization": f"Bearer {tenant['api_key']}"},
            trust_env=False,
            timeout=60,
        ) as client:
            body = {"name": "Ours", "meta_business_id": "1", "access_token": "t" * 40}
            made = client.post("/v1/integrations", json=body).json()

            def wait() -> None:
                path = f"/v1/integrations/{made['id']}/sync-jobs"
                prefer = {"Prefer": f"wait={WAIT_SECONDS}"}
                answers.append(client.post(path, json={}, headers=prefer))

            waiting = threading.Thread(target=wait)
            waiting.start()
            time.sleep(1)
            began = time.monotonic()
            code = api.stop()
            waiting.join(timeout=10)
    assert code == 0, api.log
    assert time.monotonic() - began < 10
    assert [answer.status_code for answer in answers] == [202]
