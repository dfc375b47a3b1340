"""The daily check for updates, by a worker that starts after it was due."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from partner_connector.ids import decode
from tests.journey.caller import Caller, wait_until
from tests.journey.stacks import Stack


@pytest.mark.parametrize("stack", ["separate"], indirect=True)
def test_missed_daily_check_runs_when_a_worker_starts(stack: Stack, caller: Caller) -> None:
    """Assert that the partners are listed once without a request, and the next check is planned."""
    integration = caller.integrate()
    path = f"/v1/integrations/{integration['id']}"
    assert caller.ask("PATCH", path, json={"schedule": {"paused": False}}).is_success
    assert caller.everything("/v1/sync-jobs") == []
    _, worker = stack.workers.popitem()
    worker.stop()
    assert stack.database_url is not None
    with psycopg.connect(stack.database_url) as server:
        server.execute(
            "UPDATE integrations SET next_check_at = now() - interval '3 days' WHERE id = %s",
            [decode("int", integration["id"])],
        )

    stack.add_worker()

    (job,) = wait_until(lambda: caller.everything("/v1/sync-jobs"), bool)
    assert (job["task"], job["trigger"]) == ("sync_integration", "schedule")
    assert caller.ended(job)["status"] == "completed"
    assert set(caller.partners()) == set(caller.meta.partners())
    next_run = datetime.fromisoformat(caller.get(path)["schedule"]["next_run_at"])
    assert timedelta(0) < next_run - datetime.now(UTC) < timedelta(days=1, minutes=5)
    assert [each["id"] for each in caller.everything("/v1/sync-jobs")] == [job["id"]]
