"""`workspace list|rename` and `api-key list|revoke`: administration without HTTP."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from partner_connector.db.models import AuditEvent
from partner_connector.db.revisions import sync_engine
from partner_connector.settings import without_environment
from tests.cli.conftest import Run
from tests.support.processes import api_process, run_cli, run_json

UNKNOWN_WORKSPACE = "wsp_01k9z3v0e8fjt9m2c4r6w8xabc"
UNKNOWN_KEY = "key_01k9z3v0e8fjt9m2c4r6w8xabc"


def audit_events(data_dir: Path) -> list[tuple[str, str, str, dict[str, Any]]]:
    """Return actor, action, subject and details of each audit event, in order."""
    engine = sync_engine(without_environment(data_dir=data_dir))
    with Session(engine) as session:
        rows = session.scalars(select(AuditEvent).order_by(AuditEvent.sequence)).all()
    engine.dispose()
    return [(row.actor, row.action, row.subject, row.details) for row in rows]


def test_workspaces_are_listed_and_renamed(run: Run, tmp_path: Path) -> None:
    """List id and name, oldest first; a rename keeps the id and is recorded once."""
    empty = run("workspace", "list")
    assert (empty.code, empty.out) == (0, "")
    assert "workspace create" in empty.err
    assert run("workspace", "list", "--json").document == {"workspaces": []}
    first = run("workspace", "create", "Acme", "--json").document
    second = run("workspace", "create", "Söhne", "--json").document
    assert run("workspace", "list", "--json").document == {"workspaces": [first, second]}
    assert run("workspace", "list").out == f"{first['id']}  Acme\n{second['id']}  Söhne\n"

    renamed = run("workspace", "rename", first["id"], " Acme Ltd ", "--json").document
    assert renamed == {"id": first["id"], "name": "Acme Ltd"}
    assert "is now named Acme Ltd" in run("workspace", "rename", first["id"], "Acme Ltd").out
    assert run("workspace", "list", "--json").document == {"workspaces": [renamed, second]}
    details = {"name": "Acme Ltd", "previous_name": "Acme"}
    assert audit_events(tmp_path / "var") == [
        ("command_line", "workspace.renamed", first["id"], details)
    ]
    assert run("audit", "verify", "--workspace", first["id"]).code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("workspace", "rename", "acme", "A"), "WORKSPACE is not a workspace id"),
        (("workspace", "rename", UNKNOWN_WORKSPACE, ""), "1 to 200 characters"),
        (("workspace", "rename", UNKNOWN_WORKSPACE, "A"), "there is no such workspace"),
        (("api-key", "list", "--workspace", UNKNOWN_WORKSPACE), "there is no such workspace"),
        (("api-key", "list"), "--workspace"),
        (("api-key", "revoke", UNKNOWN_WORKSPACE), "KEY is not an API key id"),
        (("api-key", "revoke", UNKNOWN_KEY), "there is no such API key"),
    ],
)
def test_invalid_arguments_are_refused(run: Run, arguments: tuple[str, ...], message: str) -> None:
    """Name the mistake on standard error, with nothing on standard output."""
    ended = run(*arguments, "--json")
    assert ended.code in {1, 2}
    assert ended.out == ""
    assert message in " ".join(ended.err.replace("│", " ").split())


def test_revoked_key_is_refused_at_next_request(tmp_path: Path) -> None:
    """List API keys without their secrets, and revoke a key while the API serves."""
    settings = {"DATA_DIR": str(tmp_path / "data")}

    def command(*arguments: str) -> dict[str, Any]:
        return run_json(*arguments, settings=settings, cwd=tmp_path)

    workspace = command("workspace", "create", "Acme")["id"]
    scope = ("--workspace", workspace, "--scope", "partners:read")
    first = command("api-key", "create", *scope, "--name", "first")
    second = command("api-key", "create", *scope, "--name", "second", "--expires-in", "1h")
    listed = command("api-key", "list", "--workspace", workspace)["api_keys"]
    assert [(key["id"], key["name"], key["scopes"]) for key in listed] == [
        (second["id"], "second", ["partners:read"]),
        (first["id"], "first", ["partners:read"]),
    ]
    assert [key["expires_at"] is None for key in listed] == [False, True]
    with api_process(settings, tmp_path) as api:
        headers = {"Authorization": f"Bearer {first['api_key']}"}

        def status() -> int:
            return httpx.get(f"{api.url}/v1/partners", headers=headers, trust_env=False).status_code

        assert status() == 200
        revoked = command("api-key", "revoke", first["id"])
        assert (revoked["id"], revoked["revoked_at"] is None) == (first["id"], False)
        assert status() == 401
        assert api.stop() == 0
    assert command("api-key", "revoke", first["id"]) == revoked | {
        "last_used_at": command("api-key", "revoke", first["id"])["last_used_at"]
    }
    plain = run_cli("api-key", "list", "--workspace", workspace, settings=settings, cwd=tmp_path)
    assert [line.split()[:3] for line in plain.stdout.splitlines()] == [
        [second["id"], "active", "second"],
        [first["id"], "revoked", "first"],
    ]
    assert first["api_key"] not in plain.stdout
    events = audit_events(tmp_path / "data")
    assert [(actor, action, subject) for actor, action, subject, _ in events] == [
        ("command_line", "api_key.created", first["id"]),
        ("command_line", "api_key.created", second["id"]),
        ("command_line", "api_key.revoked", first["id"]),
    ]
