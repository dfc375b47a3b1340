"""What stops the program does so with exit code 1 and a sentence, never a traceback."""

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
def test_a_wrong_setting(run: Run, command: tuple[str, ...]) -> None:
    """Every command that reads the configuration names the wrong setting, not its value."""
    ended = run(*command, RATE_LIMIT="canary8a1f")
    assert (ended.code, ended.out) == (1, "")
    assert "PARTNER_CONNECTOR_RATE_LIMIT" in ended.err
    assert "canary" not in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_data_directory_that_cannot_be_one(run: Run, command: tuple[str, ...]) -> None:
    """A file where the data directory should be is told in a sentence that names the setting."""
    Path("taken").write_text("")
    ended = run(*command, DATA_DIR="taken/inside", GRAPH_BASE_URL="http://127.0.0.1:9")
    assert ended.code == 1
    said = ended.out + ended.err
    assert "Traceback" not in said
    assert "DATA_DIR" in said or "taken/inside" in said or "DATABASE_URL" in said


@pytest.mark.parametrize(
    "command", [("serve", "--port", "0"), ("migrate",), ("worker",), ("workspace", "create", "A")]
)
def test_a_database_that_is_away(run: Run, command: tuple[str, ...]) -> None:
    """A PostgreSQL that cannot be reached is one line that names the setting, without its URL."""
    url = "postgresql://user:canary8a1f@127.0.0.1:9/db"
    ended = run(*command, DATABASE_URL=url)
    assert (ended.code, ended.out) == (1, "")
    assert "PARTNER_CONNECTOR_DATABASE_URL" in ended.err
    assert "canary" not in ended.err
    assert len(ended.err.strip().splitlines()) == 1


def test_a_busy_port(run: Run) -> None:
    """A port that is taken ends with one line that says what to do, before anything is made."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = run("serve", "--port", str(taken.getsockname()[1]))
    assert (ended.code, ended.out) == (1, "")
    assert len(ended.err.splitlines()) == 1
    assert "choose another port" in ended.err
    assert not Path("var").exists()


@pytest.mark.parametrize("options", [("--port", "70000"), ("--host", "no.such.host.invalid")])
def test_an_address_that_is_none(run: Run, options: tuple[str, ...]) -> None:
    """So does an address that nothing can listen on."""
    ended = run("serve", *options)
    assert ended.code == 1
    assert "cannot listen on" in ended.err
    assert len(ended.err.splitlines()) == 1


def test_a_damaged_keyring(run: Run) -> None:
    """A keyring that cannot be read stops the start, names the setting and says nothing of it."""
    run("keys", "generate")
    path = Path("var/keyring.json")
    path.write_text(path.read_text().replace('"format": 1', '"format": 9'))
    ended = run("serve", "--port", "0", "--with-worker")
    assert ended.code == 1
    assert "PARTNER_CONNECTOR_KEYRING_FILE" in ended.err.splitlines()[-1]


def test_a_wrong_command(run: Run) -> None:
    """A command or option that is not there is refused with a hint, not run halfway."""
    for arguments in (("serv",), ("serve", "--prot", "0"), ("keys", "delete")):
        ended = run(*arguments)
        assert ended.code == 2
        assert "Traceback" not in ended.err


class TestPostgresql:
    """Nothing is made by itself on PostgreSQL."""

    def test_migrations_behind(self, run: Run, postgres: PostgresTemplate) -> None:
        """`serve` and `worker` refuse a database that was not migrated, and migrate nothing."""
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
        """Without keys it refuses to start, and makes none: nobody would back them up."""
        with postgres.clone() as url:
            ended = run(*command, DATABASE_URL=url)
        assert (ended.code, ended.out) == (1, "")
        assert "PARTNER_CONNECTOR_KEYRING_FILE" in ended.err
        assert "keys generate" in ended.err
        assert not Path("var").exists()

    def test_a_private_keyring_without_a_worker(self, run: Run, postgres: PostgresTemplate) -> None:
        """The process that faces the internet refuses to hold what opens tokens."""
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
        """A worker refuses a keyring that opens nothing."""
        run("keys", "generate", KEYRING_FILE="ring.json")
        with postgres.clone() as url:
            ended = run(*command, DATABASE_URL=url, KEYRING_FILE="ring.public.json")
        assert ended.code == 1
        assert "PARTNER_CONNECTOR_KEYRING_FILE" in ended.err

    def test_bootstrap(self, run: Run, postgres: PostgresTemplate) -> None:
        """Workspace and key are made on a migrated PostgreSQL, with either half of the keyring."""
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
