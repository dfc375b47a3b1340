"""Who may know whom, and what the process that faces the internet has in its memory."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]

FORBIDDEN_IN_THE_API = (
    "partner_connector.graph",
    "partner_connector.sealing.private",
    "partner_connector.worker.token_decryption",
    "partner_connector.worker.validation",
    "partner_connector.worker.sync",
    "partner_connector.worker.process",
    "partner_connector.worker.context",
    "partner_connector.cli.demo",
    "graph_simulator",
)


def modules_after(statement: str, cwd: Path) -> set[str]:
    """The modules of a fresh interpreter after one statement."""
    done = subprocess.run(
        [
            sys.executable,
            "-P",
            "-c",
            f"{statement}; import json, sys; print(json.dumps([*sys.modules]))",
        ],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(json.loads(done.stdout))


@pytest.fixture(scope="module")
def api_modules(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """What importing the API brings along."""
    return modules_after("import partner_connector.api.app", tmp_path_factory.mktemp("fresh"))


@pytest.mark.parametrize("forbidden", FORBIDDEN_IN_THE_API)
def test_the_api_does_not_have(api_modules: set[str], forbidden: str) -> None:
    """The API's process loads neither Meta's client nor a private key's module, at any depth."""
    assert "partner_connector.api.app" in api_modules
    found = {name for name in api_modules if name == forbidden or name.startswith(f"{forbidden}.")}
    assert found == set()


def test_no_module_of_ours_in_the_api_makes_http_calls(api_modules: set[str]) -> None:
    """Nothing of ours that the API loads imports an HTTP client."""
    callers = []
    for name in sorted(api_modules):
        if name.startswith("partner_connector"):
            path = CHECKOUT / "src" / Path(*name.split("."))
            file = (
                path.with_suffix(".py")
                if path.with_suffix(".py").exists()
                else path / "__init__.py"
            )
            text = file.read_text(encoding="utf-8")
            if any(f"import {client}" in text for client in ("httpx", "requests", "aiohttp")):
                callers.append(name)
    assert callers == []


def test_the_graph_library_stands_alone(tmp_path: Path) -> None:
    """The Graph client brings along neither the web framework nor the database nor settings."""
    loaded = modules_after("import partner_connector.graph", tmp_path)
    assert not loaded & {"fastapi", "sqlalchemy", "dbos", "starlette", "partner_connector.settings"}


def test_the_simulator_stands_alone(tmp_path: Path) -> None:
    """The simulator brings along nothing of the product."""
    loaded = modules_after("import graph_simulator.app", tmp_path)
    assert "graph_simulator.app" in loaded
    assert not [name for name in loaded if name.startswith("partner_connector")]


def test_the_import_contracts_hold(tmp_path: Path) -> None:
    """Every contract in pyproject.toml holds."""
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("lint-imports")),
            "--config",
            str(CHECKOUT / "pyproject.toml"),
            "--cache-dir",
            str(tmp_path / "cache"),
        ],
        cwd=CHECKOUT,
        env=os.environ | {"COLUMNS": "120"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout
