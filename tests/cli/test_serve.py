"""`serve` as a real process."""

import json
import stat
from pathlib import Path

import httpx
import pytest

from partner_connector.cli.commands import cli
from tests.support.databases import PostgresTemplate
from tests.support.processes import api_process, run_cli, run_json


def mode(path: Path) -> int:
    """Return the permission bits of a file."""
    return stat.S_IMODE(path.stat().st_mode)


def test_first_start_creates_database_and_keys(tmp_path: Path) -> None:
    """Report what was created and what to do next, serve, and end at SIGTERM.

    An API key from the command line works over HTTP, where no response names the server software.
    """
    settings = {"DATA_DIR": str(tmp_path / "data"), "LOG_FORMAT": "json"}
    with api_process(settings, tmp_path) as api:
        files = {path.name: mode(path) for path in (tmp_path / "data").iterdir()}
        assert {"partner-connector.db", "keyring.json", "keyring.public.json"} <= set(files)
        assert set(files.values()) == {0o600}
        assert mode(tmp_path / "data") == 0o700
        assert "created the database" in api.log
        assert "created the keyring" in api.log
        assert "partner-connector workspace create" in api.log
        assert f"{api.url}/docs" in api.log
        workspace = run_json("workspace", "create", "A", settings=settings, cwd=tmp_path)
        arguments = ("--workspace", workspace["id"], "--scope", "all")
        key = run_json("api-key", "create", *arguments, settings=settings, cwd=tmp_path)["api_key"]
        with httpx.Client(base_url=api.url, trust_env=False) as client:
            headers = {"Authorization": f"Bearer {key}"}
            answer = client.get("/v1/partners", headers=headers, params={"q": "canary"})
            assert answer.status_code == 200
            assert "server" not in answer.headers
            refused = client.post("/v1/integrations", headers=headers, content=b"x" * 70_000)
            assert refused.status_code == 413
            assert refused.json()["code"] == "body_too_large"
            streamed = client.post(
                "/v1/integrations", headers=headers, content=(b"x" * 1024 for _ in range(80))
            )
            assert streamed.status_code == 413
        assert api.stop() == 0
        assert "canary" not in api.log
        assert key not in api.log
        served = [json.loads(line) for line in api.log.splitlines() if '"event": "request"' in line]
        assert {line["status"] for line in served} >= {200, 413}


def test_second_start_keeps_everything(tmp_path: Path) -> None:
    """Create nothing again, give no first steps, and serve what was stored."""
    settings = {"DATA_DIR": str(tmp_path / "data")}
    workspace = run_json("workspace", "create", "A", settings=settings, cwd=tmp_path)
    arguments = ("--workspace", workspace["id"], "--scope", "all")
    key = run_json("api-key", "create", *arguments, settings=settings, cwd=tmp_path)["api_key"]
    with api_process(settings, tmp_path, "--with-worker") as api:
        assert "created" not in api.log
        assert "workspace create" not in api.log
        headers = {"Authorization": f"Bearer {key}"}
        assert httpx.get(f"{api.url}/v1/partners", headers=headers, trust_env=False).is_success
        assert api.stop() == 0


def test_api_serves_with_the_public_half_on_postgresql(
    tmp_path: Path, postgres: PostgresTemplate
) -> None:
    """Serve on PostgreSQL with the public half of the keyring alone."""
    with postgres.clone() as url:
        settings = {"DATABASE_URL": url, "KEYRING_FILE": str(tmp_path / "ring.json")}
        assert run_cli("keys", "generate", settings=settings, cwd=tmp_path).returncode == 0
        (tmp_path / "ring.json").unlink()
        settings["KEYRING_FILE"] = str(tmp_path / "ring.public.json")
        with api_process(settings, tmp_path) as api:
            assert httpx.get(f"{api.url}/livez", trust_env=False).status_code == 200
            assert api.stop() == 0


def test_wrong_setting_ends_the_process(tmp_path: Path) -> None:
    """Exit with 1 and name the setting, in a real process."""
    done = run_cli("serve", "--port", "0", settings={"LOG_LEVEL": "canary"}, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "PARTNER_CONNECTOR_LOG_LEVEL" in done.stderr
    assert "canary" not in done.stderr


@pytest.mark.parametrize(
    "name", ["serve", "worker", "demo", "migrate", "openapi", "check", "version"]
)
def test_commands_of_the_contract_exist(name: str) -> None:
    """Provide every command that the operating contract names."""
    names = {
        command.name or command.callback.__name__
        for command in cli.registered_commands
        if command.callback
    }
    assert name in names
