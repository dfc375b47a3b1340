"""Who may know whom, and what the process that faces the internet has in its memory."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import api_process, run_cli, worker_process

CHECKOUT = Path(__file__).parents[2]

FORBIDDEN_IN_THE_API = (
    "partner_connector.worker",
    "partner_connector.graph",
    "partner_connector.sealing.private",
    "partner_connector.cli",
    "graph_simulator",
)
WEB_FRAMEWORK = ("fastapi", "starlette", "uvicorn")
HEAVY = (*WEB_FRAMEWORK, "sqlalchemy", "alembic", "dbos", "nacl", "graph_simulator")


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


def among(loaded: set[str], packages: tuple[str, ...]) -> set[str]:
    """Those of the modules that belong to one of the packages."""
    return {
        name
        for name in loaded
        if any(name == package or name.startswith(f"{package}.") for package in packages)
    }


def imported(log: str) -> set[str]:
    """The modules that a process reported which ran with `PYTHONPROFILEIMPORTTIME`."""
    return {
        line.rpartition("|")[2].strip()
        for line in log.splitlines()
        if line.startswith("import time:")
    }


@pytest.fixture
def reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each process that the test starts report what it imports."""
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")


@pytest.fixture(scope="module")
def api_modules(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """What importing the API brings along."""
    return modules_after("import partner_connector.api.app", tmp_path_factory.mktemp("fresh"))


@pytest.mark.parametrize("forbidden", FORBIDDEN_IN_THE_API)
def test_the_api_does_not_have(api_modules: set[str], forbidden: str) -> None:
    """The API's process loads neither Meta's client nor a private key's module, at any depth."""
    assert "partner_connector.api.app" in api_modules
    assert among(api_modules, (forbidden,)) == set()


def test_serve_without_a_worker_loads_nothing_of_the_worker(tmp_path: Path, reported: None) -> None:
    """The process of `serve`, answering, holds neither Meta's client nor what opens a token."""
    with api_process({"DATA_DIR": str(tmp_path / "data"), "LOG_FORMAT": "json"}, tmp_path) as api:
        loaded = imported(api.log)
    assert "partner_connector.cli.serving" in loaded
    assert among(loaded, FORBIDDEN_IN_THE_API) <= among(loaded, ("partner_connector.cli",))


def test_worker_loads_no_web_framework(tmp_path: Path, reported: None) -> None:
    """The process of `worker`, working, has neither FastAPI nor Starlette."""
    with worker_process({"DATA_DIR": str(tmp_path / "data")}, tmp_path) as worker:
        loaded = imported(worker.log)
    assert {"partner_connector.worker.process", "partner_connector.cli.working"} <= loaded
    assert among(loaded, WEB_FRAMEWORK) == set()


def test_worker_package_loads_no_web_framework(tmp_path: Path) -> None:
    """Neither does the package by itself."""
    loaded = modules_after("import partner_connector.worker.process", tmp_path)
    assert among(loaded, WEB_FRAMEWORK) == set()


@pytest.mark.parametrize(
    "arguments",
    [("--version",), ("version",), ("--help",), ("serve", "--help"), ("keys", "--help")],
    ids=" ".join,
)
def test_help_and_version_load_only_the_command_line(
    tmp_path: Path, reported: None, arguments: tuple[str, ...]
) -> None:
    """A command imports what it needs when it runs, and these need nothing."""
    done = run_cli(*arguments, settings={}, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    loaded = imported(done.stderr)
    assert "partner_connector.cli.commands" in loaded
    assert among(loaded, HEAVY) == set()


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
