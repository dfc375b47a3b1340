"""Expected failures end with exit code 1 and one sentence, never with a traceback."""

import socket
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.support.databases import PostgresTemplate

COMMANDS = [
    ("serve", "--port", "0"),
    ("worker",),
    ("migrate",),
    ("check",),
    ("keys", "generate"),
    ("workspace", "create", "A"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_wrong_setting(run: Run, command: tuple[str, ...]) -> None:
    """Name the wrong setting, not its value, in every command that reads settings."""
    ended = run(*command, RATE_LIMIT="canary8a1f")
    assert (ended.code, ended.out) == (1, "")
    assert "PARTNER_CONNECTOR_RATE_LIMIT" in ended.err
    assert "canary" not in ended.err
    assert "Traceback" not in ended.err


def test_unknown_setting(run: Run) -> None:
    """Name the unknown setting and the nearest known setting, never a value; also in `.env`."""
    Path(".env").write_text("PARTNER_CONNECTOR_RATELIMIT=canary8a1f\nOTHER=1\n")
    ended = run("migrate", LOG_LEVLE="canary8a1f", ZZZ="canary8a1f")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.splitlines()[1:] == [
        "PARTNER_CONNECTOR_LOG_LEVLE: is not a setting; did you mean PARTNER_CONNECTOR_LOG_LEVEL?",
        "PARTNER_CONNECTOR_RATELIMIT: is not a setting; did you mean PARTNER_CONNECTOR_RATE_LIMIT?",
        "PARTNER_CONNECTOR_ZZZ: is not a setting",
    ]
    assert not Path("var").exists()


def test_variables_of_kubernetes_are_no_settings(run: Run) -> None:
    """Accept what Kubernetes sets for a Service named `partner-connector` or similar."""
    variables = {
        "SERVICE_HOST": "10.0.0.1",
        "SERVICE_PORT": "80",
        "API_SERVICE_PORT_HTTP": "80",
        "PORT": "tcp://10.0.0.1:80",
        "PORT_80_TCP": "tcp://10.0.0.1:80",
        "API_PORT_80_TCP_ADDR": "10.0.0.1",
    }
    assert run("keys", "generate", **variables).code == 0


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_impossible_data_directory(run: Run, command: tuple[str, ...]) -> None:
    """Name the setting when a file is where the data directory should be."""
    Path("taken").write_text("")
    ended = run(*command, DATA_DIR="taken/inside", GRAPH_BASE_URL="http://127.0.0.1:9")
    assert ended.code == 1
    said = ended.out + ended.err
    assert "Traceback" not in said
    assert "DATA_DIR" in said or "taken/inside" in said or "DATABASE_URL" in said


@pytest.mark.parametrize(
    "command", [("serve", "--port", "0"), ("migrate",), ("worker",), ("workspace", "create", "A")]
)
def test_unreachable_database(run: Run, command: tuple[str, ...]) -> None:
    """Name the setting in one line, without the URL."""
    url = "postgresql://user:canary8a1f@127.0.0.1:9/db"
    ended = run(*command, DATABASE_URL=url)
    assert (ended.code, ended.out) == (1, "")
    assert "PARTNER_CONNECTOR_DATABASE_URL" in ended.err
    assert "canary" not in ended.err
    assert len(ended.err.strip().splitlines()) == 1


def test_busy_port(run: Run) -> None:
    """Say in one line what to do, before anything is created."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = run("serve", "--port", str(taken.getsockname()[1]))
    assert (ended.code, ended.out) == (1, "")
    assert len(ended.err.splitlines()) == 1
    assert "choose another port" in ended.err
    assert not Path("var").exists()


@pytest.mark.parametrize("options", [("--port", "70000"), ("--host", "no.such.host.invalid")])
def test_impossible_address(run: Run, options: tuple[str, ...]) -> None:
    """Refuse an address on which no process can listen."""
    ended = run("serve", *options)
    assert ended.code == 1
    assert "cannot listen on" in ended.err
    assert len(ended.err.splitlines()) == 1


def test_damaged_keyring(run: Run) -> None:
    """Refuse to start and name the setting, without showing the content."""
    run("keys", "generate")
    path = Path("var/keyring.json")
    path.write_text(path.read_text().replace('"format": 1', '"format": 9'))
    ended = run("serve", "--port", "0", "--with-worker")
    assert ended.code == 1
    assert "PARTNER_CONNECTOR_KEYRING_FILE" in ended.err.splitlines()[-1]


def test_wrong_command(run: Run) -> None:
    """Refuse an unknown command or option with a hint."""
    for arguments in (("serv",), ("serve", "--prot", "0"), ("keys", "delete")):
        ended = run(*arguments)
        assert ended.code == 2
        assert "Traceback" not in ended.err


class TestPostgresql:
    """PostgreSQL: nothing is created automatically."""

    def test_migrations_behind(self, run: Run, postgres: PostgresTemplate) -> None:
        """Refuse a database that was not migrated, and migrate nothing."""
        run("keys", "generate", KEYRING_FILE="ring.json")
        with postgres.empty() as url:
            for command in (("serve", "--port", "0", "--with-worker"), ("worker",)):
                ended = run(*command, DATABASE_URL=url, KEYRING_FILE="ring.json")
                assert (ended.code, ended.out) == (1, "")
                assert "partner-connector migrate" in ended.err
                assert len(ended.err.splitlines()) == 1

    @pytest.mark.parametrize(
        "command",
        [("serve", "--port", "0"), ("serve", "--port", "0", "--with-worker"), ("worker",)],
    )
    def test_no_keys(self, run: Run, postgres: PostgresTemplate, command: tuple[str, ...]) -> None:
        """Refuse to start without keys, and create none: no operator would back them up."""
        with postgres.clone() as url:
            ended = run(*command, DATABASE_URL=url)
        assert (ended.code, ended.out) == (1, "")
        assert "PARTNER_CONNECTOR_KEYRING_FILE" in ended.err
        assert "keys generate" in ended.err
        assert not Path("var").exists()

    def test_a_private_keyring_without_a_worker(self, run: Run, postgres: PostgresTemplate) -> None:
        """Refuse to start an API process with a keyring that opens tokens."""
        run("keys", "generate", KEYRING_FILE="ring.json")
        with postgres.clone() as url:
            ended = run("serve", "--port", "0", DATABASE_URL=url, KEYRING_FILE="ring.json")
        assert (ended.code, ended.out) == (1, "")
        assert "keys public" in ended.err
        assert len(ended.err.splitlines()) == 1

    @pytest.mark.parametrize("command", [("serve", "--port", "0", "--with-worker"), ("worker",)])
    def test_a_public_keyring_for_a_worker(
        self, run: Run, postgres: PostgresTemplate, command: tuple[str, ...]
    ) -> None:
        """Refuse to start a worker with a keyring that opens no token."""
        run("keys", "generate", KEYRING_FILE="ring.json")
        with postgres.clone() as url:
            ended = run(*command, DATABASE_URL=url, KEYRING_FILE="ring.public.json")
        assert ended.code == 1
        assert "PARTNER_CONNECTOR_KEYRING_FILE" in ended.err

    def test_bootstrap(self, run: Run, postgres: PostgresTemplate) -> None:
        """Create workspace and API key on PostgreSQL, with either half of the keyring."""
        run("keys", "generate", KEYRING_FILE="ring.json")
        with postgres.empty() as url:
            refused = run("workspace", "create", "A", DATABASE_URL=url)
            assert refused.code == 1
            assert run("migrate", DATABASE_URL=url).code == 0
            workspace = run("workspace", "create", "A", "--json", DATABASE_URL=url).document["id"]
            for ring in ("ring.json", "ring.public.json"):
                arguments = ("--workspace", workspace, "--scope", "all", "--json")
                made = run(
                    "api-key", "create", *arguments, DATABASE_URL=url, KEYRING_FILE=ring
                ).document
                assert made["api_key"].startswith("pck_")
        assert not Path("var").exists()
