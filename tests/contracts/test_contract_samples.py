"""Samples for the CI of consumers: they parse, and use only names that exist."""

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped] # its types are a package of their own, for two tests

from partner_connector.settings import ENV_PREFIX, Settings

CHECKOUT = Path(__file__).parents[2]
SAMPLES = CHECKOUT / "docs" / "samples"
SETTINGS = {f"{ENV_PREFIX}{name.upper()}" for name in Settings.model_fields}


def document(name: str) -> dict[str, Any]:
    """Return a parsed sample. YAML reads the key `on` of a workflow as True."""
    found: dict[str, Any] = yaml.safe_load((SAMPLES / name).read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("name", sorted(path.name for path in SAMPLES.iterdir()))
def test_sample_uses_existing_settings(name: str) -> None:
    """Catch unknown settings, which the program ignores silently."""
    text = (SAMPLES / name).read_text(encoding="utf-8")
    assert set(re.findall(rf"{ENV_PREFIX}[A-Z_]+", text)) <= SETTINGS


def test_workflow_is_valid() -> None:
    """Check that the workflow's scripts are valid shell, and its paths exist in this project."""
    workflow = document("github-actions.yaml")
    assert {"name", True, "permissions", "jobs"} == set(workflow)
    vendored = "vendor/partner-connector/"
    for job in workflow["jobs"].values():
        assert {"runs-on", "timeout-minutes", "steps"} == set(job)
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step)
            script = step.get("run", "")
            subprocess.run(["/usr/bin/env", "bash", "-n", "-c", script], check=True)
            for word in shlex.split(script, comments=True):
                if word.startswith(vendored):
                    assert (CHECKOUT / word.removeprefix(vendored)).exists(), word


def test_compose_file_is_valid() -> None:
    """Check that the files of the services exist, and plain HTTP stays on one machine."""
    services = document("compose.yaml")["services"]
    assert set(services) == {"connector", "simulator", "mock"}
    assert services["simulator"]["network_mode"] == "service:connector"
    assert services["connector"]["environment"][f"{ENV_PREFIX}GRAPH_BASE_URL"].startswith(
        "http://127.0.0.1:"
    )
    (mounted,) = services["mock"]["volumes"]
    assert (SAMPLES / mounted.split(":")[0]).resolve().is_file()
    for service in services.values():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:")
