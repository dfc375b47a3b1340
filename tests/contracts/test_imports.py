"""Imports: the allowed ones between packages, and the modules that each process loads."""

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
    """Return the modules of a new interpreter after one statement."""
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


def modules_of(loaded: set[str], packages: tuple[str, ...]) -> set[str]:
    """Return the modules that belong to one of the packages."""
    return {
        name
        for name in loaded
        if any(name == package or name.startswith(f"{package}.") for package in packages)
    }


def imported(log: str) -> set[str]:
    """Return the modules in the log of a process that ran with `PYTHONPROFILEIMPORTTIME`."""
    return {
        line.rpartition("|")[2].strip()
        for line in log.splitlines()
        if line.startswith("import time:")
    }


@pytest.fixture
def imports_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each process that the test starts log its imports."""
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")


@pytest.fixture(scope="module")
def api_modules(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Modules that an import of the API loads."""
    return modules_after("import partner_connector.api.app", tmp_path_factory.mktemp("fresh"))


@pytest.mark.parametrize("forbidden", FORBIDDEN_IN_THE_API)
def test_api_does_not_import_forbidden_module(api_modules: set[str], forbidden: str) -> None:
    """Check that the API imports neither the Graph client nor private keys, even indirectly."""
    assert "partner_connector.api.app" in api_modules
    assert modules_of(api_modules, (forbidden,)) == set()


def test_serve_without_worker_loads_no_worker_module(tmp_path: Path, imports_logged: None) -> None:
    """Check that a ready `serve` has loaded neither the Graph client nor the token decryption."""
    with api_process({"DATA_DIR": str(tmp_path / "data"), "LOG_FORMAT": "json"}, tmp_path) as api:
        loaded = imported(api.log)
    assert "partner_connector.cli.serving" in loaded
    assert modules_of(loaded, FORBIDDEN_IN_THE_API) <= modules_of(
        loaded, ("partner_connector.cli",)
    )


def test_worker_loads_no_web_framework(tmp_path: Path, imports_logged: None) -> None:
    """Check that a started `worker` has loaded neither FastAPI nor Starlette."""
    with worker_process({"DATA_DIR": str(tmp_path / "data")}, tmp_path) as worker:
        loaded = imported(worker.log)
    assert {"partner_connector.worker.process", "partner_connector.cli.working"} <= loaded
    assert modules_of(loaded, WEB_FRAMEWORK) == set()


def test_worker_package_loads_no_web_framework(tmp_path: Path) -> None:
    loaded = modules_after("import partner_connector.worker.process", tmp_path)
    assert modules_of(loaded, WEB_FRAMEWORK) == set()


@pytest.mark.parametrize(
    "arguments",
    [("--version",), ("version",), ("--help",), ("serve", "--help"), ("keys", "--help")],
    ids=" ".join,
)
def test_help_and_version_load_only_the_command_line(
    tmp_path: Path, imports_logged: None, arguments: tuple[str, ...]
) -> None:
    """Check that commands import their dependencies only when they run."""
    done = run_cli(*arguments, settings={}, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    loaded = imported(done.stderr)
    assert "partner_connector.cli.commands" in loaded
    assert modules_of(loaded, HEAVY) == set()


def test_api_modules_import_no_http_client(api_modules: set[str]) -> None:
    """Check that no module of the product that the API loads imports an HTTP client."""
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


def test_graph_library_is_independent(tmp_path: Path) -> None:
    """Check that the Graph client imports no web framework, database or settings."""
    loaded = modules_after("import partner_connector.graph", tmp_path)
    assert not loaded & {"fastapi", "sqlalchemy", "dbos", "starlette", "partner_connector.settings"}


def test_simulator_is_independent(tmp_path: Path) -> None:
    """Check that the simulator imports no module of the product."""
    loaded = modules_after("import graph_simulator.app", tmp_path)
    assert "graph_simulator.app" in loaded
    assert not [name for name in loaded if name.startswith("partner_connector")]


def test_import_contracts_are_kept(tmp_path: Path) -> None:
    """Run `lint-imports` with the contracts in pyproject.toml."""
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
