"""The version of Meta's API that really answers, as the integration reports it."""

from pathlib import Path

import pytest

from tests.journey.caller import Caller
from tests.journey.meta import Json
from tests.journey.stacks import make_tenant, settings_for, simulated_meta
from tests.support.processes import api_process

pytestmark = pytest.mark.by_day("embedded")


def test_unexpected_graph_version_needs_attention_until_corrected(caller: Caller) -> None:
    """Assert that a check for updates reports it, and the first correct one ends the reason."""
    integration = caller.integrate()
    path = f"/v1/integrations/{integration['id']}"
    caller.check(integration)
    before = caller.get(path)
    assert before["health"] == "healthy"

    caller.meta.switch(served_version="v25.0")
    caller.check(integration)
    seen = caller.get(path)
    reported = [r for r in seen["health_reasons"] if r not in before["health_reasons"]]
    assert seen["health"] == "attention_required"
    assert [reason["code"] for reason in reported] == ["graph_version_mismatch"]
    assert "v26.0" in reported[0]["detail"]
    assert "v25.0" in reported[0]["detail"]
    assert reported[0]["remedy"]
    assert [r for r in before["health_reasons"] if r not in seen["health_reasons"]] == []

    caller.check(integration)
    assert caller.get(path)["health_reasons"] == seen["health_reasons"]

    caller.meta.switch(served_version="")
    caller.check(integration)
    after = caller.get(path)
    assert (after["health"], after["health_reasons"]) == ("healthy", before["health_reasons"])


def test_recovered_token_leaves_the_version_as_a_reason(caller: Caller) -> None:
    """Assert that each reason ends by itself.

    An integration is healthy when no reason needs attention.
    """
    integration = caller.integrate()
    path = f"/v1/integrations/{integration['id']}"
    caller.meta.fault({"edge": "agencies", "owner": "host/"}, {"error": {"code": 190}}, times=1)
    assert caller.ended(caller.start_check(integration))["status"] == "failed"
    assert codes(caller.get(path)) == ("attention_required", ["token_invalid"])

    caller.meta.switch(served_version="v25.0")
    caller.check(integration)
    assert codes(caller.get(path)) == ("attention_required", ["graph_version_mismatch"])

    caller.meta.switch(served_version="")
    caller.check(integration)
    assert codes(caller.get(path)) == ("healthy", [])


def test_version_near_its_end_is_reported_and_integration_stays_healthy(
    tmp_path: Path,
) -> None:
    """Use v21.0, which Meta serves until 2027-01-21."""
    with simulated_meta(tmp_path) as meta:
        settings = settings_for(meta, tmp_path / "var") | {"GRAPH_VERSION": "v21.0"}
        with api_process(settings, tmp_path, "--with-worker") as api:
            caller = Caller(api.url, meta, make_tenant(settings, tmp_path), [])
            integration = caller.integrate()
            caller.check(integration)
            health, reported = codes(caller.get(f"/v1/integrations/{integration['id']}"))
            caller.close()
    assert health == "healthy"
    assert "graph_version_sunset" in reported


def codes(integration: Json) -> tuple[str, list[str]]:
    """Return the health and the codes of its reasons."""
    reasons = [str(reason["code"]) for reason in integration["health_reasons"]]
    return str(integration["health"]), reasons
