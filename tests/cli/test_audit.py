"""`partner-connector audit verify`: on a host of the service, without an API key."""

import json
from pathlib import Path

import pytest
from sqlalchemy import text

from partner_connector.db.revisions import sync_engine
from partner_connector.settings import without_environment
from tests.cli.conftest import Run


def a_workspace(run: Run) -> str:
    """Create a workspace with two API keys, which are its two audit events."""
    workspace: str = run("workspace", "create", "Acme", "--json").document["id"]
    for name in ("first", "second"):
        made = run("api-key", "create", "--workspace", workspace, "--scope", "all", "--name", name)
        assert made.code == 0
    return workspace


def change(directory: Path, statement: str) -> None:
    """Change the database behind the service's back."""
    engine = sync_engine(without_environment(data_dir=directory / "var"))
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


def test_verify_reports_an_altered_event(run: Run, tmp_path: Path) -> None:
    """Record the creation of API keys; exit with 1 and name the altered event."""
    workspace = a_workspace(run)
    verify = ("audit", "verify", "--workspace", workspace)
    found = run(*verify, "--json").document
    assert (found["intact"], found["events"], found["broken"]) == (True, 2, None)
    anchored = run(*verify, "--anchor", found["anchor"])
    assert (anchored.code, found["anchor"] in anchored.out) == (0, True)

    change(tmp_path, "UPDATE audit_events SET actor = 'worker' WHERE sequence = 2")

    ended = run(*verify, "--json")
    assert ended.code == 1
    broken = json.loads(ended.out)["broken"]
    assert (broken["sequence"], broken["reason"]) == (2, "altered")
    assert "broken at sequence 2: altered" in run(*verify).out


def test_verify_with_an_anchor_finds_deleted_events(run: Run, tmp_path: Path) -> None:
    """Find deleted events by an anchor even if the chain head was deleted too."""
    workspace = a_workspace(run)
    verify = ("audit", "verify", "--workspace", workspace, "--json")
    anchor = run(*verify).document["anchor"]
    change(tmp_path, "DELETE FROM audit_events")
    change(tmp_path, "DELETE FROM audit_heads")
    assert run(*verify).code == 0
    ended = run(*verify, "--anchor", anchor)
    assert ended.code == 1
    assert json.loads(ended.out)["broken"]["reason"] == "missing"


@pytest.mark.parametrize(
    "arguments",
    [
        ("--workspace", "acme"),
        ("--workspace", "wsp_01k9z3v0e8fjt9m2c4r6w8xabc", "--anchor", "seven"),
    ],
)
def test_verify_refuses_malformed_arguments(run: Run, arguments: tuple[str, ...]) -> None:
    """Name the wrong argument."""
    ended = run("audit", "verify", *arguments)
    assert ended.code == 2
    assert arguments[-2] in ended.err
