"""An installed wheel, which serves and migrates a database without a checkout."""

import os
import sqlite3
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project as a wheel, unpacked in an empty directory."""
    directory = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [
            sys.executable,
            *("-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"),
            *("--no-deps", "--no-build-isolation", "--no-index"),
            *("--wheel-dir", str(directory), str(CHECKOUT)),
        ],
        check=True,
        timeout=60,
    )
    [wheel] = directory.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(directory / "site")
    return directory / "site"


def run(unpacked: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python with the unpacked wheel first on its path, outside the checkout.

    Write no bytecode, because the tests list the files of the wheel.
    """
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("PARTNER_CONNECTOR_")}
    environment = inherited | {
        "PYTHONPATH": str(unpacked),
        "PARTNER_CONNECTOR_DATA_DIR": str(cwd / "data"),
    }
    return subprocess.run(
        [sys.executable, "-B", "-P", *arguments],
        env=environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_wheel_contains_page_of_token_request(unpacked: Path, tmp_path: Path) -> None:
    """Import the page, the one file of the API that is not Python."""
    done = run(unpacked, tmp_path, "-c", "import partner_connector.api.pages.connect")
    assert done.returncode == 0, done.stderr


def test_wheel_migrates_without_checkout(unpacked: Path, tmp_path: Path) -> None:
    """Create every table with the wheel's own migrations."""
    where = run(
        unpacked,
        tmp_path,
        "-c",
        "import partner_connector.db.engine as d; print(d.__file__, d.migrations_directory())",
    )
    assert where.stdout.count(str(unpacked)) == 2, where.stdout + where.stderr
    assert str(CHECKOUT) not in where.stdout
    for _ in range(2):
        done = run(unpacked, tmp_path, "-m", "partner_connector", "migrate")
        assert done.returncode == 0, done.stderr
    with sqlite3.connect(tmp_path / "data" / "partner-connector.db") as connection:
        names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    connection.close()
    assert {"partner_users", "alembic_version", "workflow_status"} <= names


def test_wheel_contains_only_programs_and_migrations(unpacked: Path) -> None:
    """Keep tests, documents and secrets out of the wheel."""
    roots = {path.name for path in unpacked.iterdir()}
    packages = {name for name in roots if not name.endswith(".dist-info")}
    assert packages == {"partner_connector", "graph_simulator"}
    files = {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*")}
    assert not [name for name in files if name.endswith((".db", ".env", ".pyc"))]
    assert "partner_connector/migrations/env.py" in files
    entry_points = next(unpacked.glob("*.dist-info")) / "entry_points.txt"
    assert "partner-connector = partner_connector.cli.commands:main" in entry_points.read_text()
