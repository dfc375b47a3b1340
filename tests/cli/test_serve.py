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
    """The permission bits of a file."""
    return stat.S_IMODE(path.stat().st_mode)


def test_the_first_start_makes_what_it_needs(tmp_path: Path) -> None:
    """On an empty directory it makes database and keys, says so, serves, and ends on SIGTERM.

    A key made on the command line works over HTTP, where no answer names the server.
    """
    settings = {"DATA_DIR": str(tmp_path / "data"), "LOG_FORMAT": "json"}
    with api_process(settings, tmp_path) as api:
        files = {path.name: mode(path) for path in (tmp_path / "data").iterdir()}
        assert {"partner-connector.db", "keyring.json", "keyring.public.json"} <= set(files)
        assert set(files.values()) == {0o600}
        assert mode(tmp_path / "data") == 0o700
        assert "created the database" in api.log
        assert "created the keyring" in api.log
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


def test_a_second_start_keeps_everything(tmp_path: Path) -> None:
    """Started again, it makes nothing anew and what was stored is there."""
    settings = {"DATA_DIR": str(tmp_path / "data")}
    workspace = run_json("workspace", "create", "A", settings=settings, cwd=tmp_path)
    arguments = ("--workspace", workspace["id"], "--scope", "all")
    key = run_json("api-key", "create", *arguments, settings=settings, cwd=tmp_path)["api_key"]
    with api_process(settings, tmp_path, "--with-worker") as api:
        assert "created" not in api.log
        headers = {"Authorization": f"Bearer {key}"}
        assert httpx.get(f"{api.url}/v1/partners", headers=headers, trust_env=False).is_success
        assert api.stop() == 0


def test_postgresql_with_the_public_half(tmp_path: Path, postgres: PostgresTemplate) -> None:
    """On PostgreSQL an API process serves with nothing but the public half of the keyring."""
    with postgres.clone() as url:
        settings = {"DATABASE_URL": url, "KEYRING_FILE": str(tmp_path / "ring.json")}
        assert run_cli("keys", "generate", settings=settings, cwd=tmp_path).returncode == 0
        (tmp_path / "ring.json").unlink()
        settings["KEYRING_FILE"] = str(tmp_path / "ring.public.json")
        with api_process(settings, tmp_path) as api:
            assert httpx.get(f"{api.url}/livez", trust_env=False).status_code == 200
            assert api.stop() == 0


def test_a_wrong_setting_ends_the_process(tmp_path: Path) -> None:
    """The program, as it is really started, exits 1 and names the setting."""
    done = run_cli("serve", "--port", "0", settings={"LOG_LEVEL": "canary"}, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "PARTNER_CONNECTOR_LOG_LEVEL" in done.stderr
    assert "canary" not in done.stderr


@pytest.mark.parametrize(
    "name", ["serve", "worker", "demo", "migrate", "openapi", "check", "version"]
)
def test_the_commands_of_the_contract(name: str) -> None:
    """Every command that the operating contract names is there."""
    names = {
        command.name or command.callback.__name__
        for command in cli.registered_commands
        if command.callback
    }
    assert name in names
