"""`keys generate | list | status | rotate | remove | public`, and what `check` says of them."""

import asyncio
import json
import stat
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from partner_connector.db.engine import Database, open_database
from partner_connector.features.webhooks.signing_secrets import renew
from partner_connector.features.workspaces import repository as workspaces
from partner_connector.sealing import keyring as keyring_file
from partner_connector.sealing.keyring import KeyringFile
from partner_connector.sealing.public import PublicKeyring
from partner_connector.settings import load_settings
from tests.api import rows
from tests.cli.conftest import Run
from tests.support.sealed_tokens import store_tokens

Answer = TypeVar("Answer")


def mode(path: Path) -> int:
    """The permission bits of a file."""
    return stat.S_IMODE(path.stat().st_mode)


def test_generate(run: Run) -> None:
    """The keyring and its public half are made, readable by their owner only."""
    ended = run("keys", "generate", "--json")
    document = ended.document
    assert set(document) == {"keyring_file", "key_id"}
    path = Path(document["keyring_file"])
    ring = keyring_file.read(path)
    assert ring.current.key_id == document["key_id"]
    assert ring.current.private_key is not None
    assert ring.current.private_key not in ended.out + ended.err
    public = path.with_name("keyring.public.json")
    assert not keyring_file.read(public).holds_private_keys
    assert [mode(path), mode(public)] == [0o600, 0o600]


def test_generate_never_replaces(run: Run) -> None:
    """A second time it ends with one line and leaves the keys alone."""
    path = Path(run("keys", "generate", "--json").document["keyring_file"])
    before = path.read_bytes()
    ended = run("keys", "generate", "--json")
    assert (ended.code, ended.out) == (1, "")
    assert len(ended.err.splitlines()) == 1
    assert "exists already" in ended.err
    assert path.read_bytes() == before


def test_a_file_of_ones_own(run: Run, tmp_path: Path) -> None:
    """`KEYRING_FILE` says where the keyring is."""
    path = tmp_path / "secrets" / "ring.json"
    document = run("keys", "generate", "--json", KEYRING_FILE=str(path)).document
    assert document["keyring_file"] == str(path)
    assert path.exists()


def test_rotate_and_list(run: Run) -> None:
    """A rotation adds a current key, keeps the old one, and the list shows both but no key."""
    first = run("keys", "generate", "--json").document
    second = run("keys", "rotate", "--json").document
    assert first["key_id"] != second["key_id"]
    ended = run("keys", "list", "--json")
    keys = ended.document["keys"]
    assert [(key["key_id"], key["state"]) for key in keys] == [
        (second["key_id"], "current"),
        (first["key_id"], "retiring"),
    ]
    assert {name for key in keys for name in key} == {
        "key_id",
        "state",
        "created_at",
        "accepted_until",
    }
    plain = run("keys", "list").out
    assert keys[0]["accepted_until"] is None
    assert f"accepted until {keys[1]['accepted_until']}" in plain.splitlines()[1]
    assert plain.splitlines()[0].startswith(second["key_id"])
    ring = keyring_file.read(Path(second["keyring_file"]))
    secrets = [ring.service_secret, *(key.private_key or "" for key in ring.keys)]
    assert not [secret for secret in secrets if secret in ended.out + plain]


def test_public(run: Run, tmp_path: Path) -> None:
    """The public half goes where it is asked for, also after a rotation, and opens nothing."""
    run("keys", "generate")
    out = tmp_path / "new" / "public.json"
    document = run("keys", "public", "--out", str(out), "--json").document
    assert document == {"keyring_file": str(out)}
    run("keys", "rotate")
    assert run("keys", "public", "--out", str(out)).code == 0
    ring = keyring_file.read(out)
    assert len(ring.keys) == 2
    assert not ring.holds_private_keys
    assert "private_key" not in json.loads(out.read_text())["keys"][0]
    assert mode(out) == 0o600


@pytest.mark.parametrize("command", [("list",), ("rotate",), ("public", "--out", "x.json")])
def test_without_a_keyring(run: Run, command: tuple[str, ...]) -> None:
    """Where there is no keyring each command says so in one line."""
    ended = run("keys", *command)
    assert (ended.code, ended.out) == (1, "")
    assert "there is no keyring at" in ended.err
    assert len(ended.err.splitlines()) == 1


def test_a_public_keyring_does_not_rotate(run: Run, tmp_path: Path) -> None:
    """The half that an API has cannot grow a private key."""
    run("keys", "generate")
    public = tmp_path / "var" / "keyring.public.json"
    before = public.read_bytes()
    ended = run("keys", "rotate", KEYRING_FILE=str(public))
    assert ended.code == 1
    assert public.read_bytes() == before


def store(ring: KeyringFile, partners: int) -> int:
    """Tokens in the database of this directory; answers how many."""

    async def write(database: Database) -> int:
        return len(await store_tokens(database, ring, partners))

    return in_the_database(write)


def store_signing_secrets(ring: KeyringFile, number: int) -> None:
    """So many webhook endpoints with a secret each."""

    async def write(database: Database) -> None:
        async with database.writing() as session:
            workspace = await workspaces.create(session, "Test")
            for _ in range(number):
                endpoint = rows.webhook_endpoint(workspace.id)
                session.add(endpoint)
                await session.flush()
                await renew(session, PublicKeyring(ring), endpoint)

    in_the_database(write)


def in_the_database(work: Callable[[Database], Awaitable[Answer]]) -> Answer:
    """Done with the database of this directory."""

    async def done() -> Answer:
        database = open_database(load_settings())
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(done())


def said_of(name: str, run: Run) -> list[tuple[str, str]]:
    """What `check` finds about it. Meta is away, so that it always ends with 1."""
    checked = run("check", "--json", GRAPH_BASE_URL="http://127.0.0.1:9")
    findings: list[dict[str, str]] = json.loads(checked.out)["checks"]
    return [(each["status"], each["detail"]) for each in findings if each["name"] == name]


def test_a_key_in_use_is_not_removed(run: Run) -> None:
    """A retired key is destroyed once nothing is sealed under it and its window is over; until then
    it is refused, by name. `status` and `check` tell what is left.
    """
    old = run("keys", "generate", "--json").document["key_id"]
    run("migrate")
    ring = keyring_file.read(Path("var/keyring.json"))
    number = store(ring, 5)
    assert said_of("tokens", run) == [("ok", f"{number}, all under the current key")]
    new = run("keys", "rotate", "--accept-old-for", "1s", "--json").document["key_id"]

    status: list[dict[str, Any]] = run("keys", "status", "--json").document["keys"]
    assert [(key["key_id"], key["state"], key["tokens"]) for key in status] == [
        (new, "current", 0),
        (old, "retiring", number),
    ]
    assert f"{number} tokens" in run("keys", "status").out
    assert [status for status, _ in said_of("tokens", run)] == ["warn"]
    assert f"{number} are not under the current key yet" in said_of("tokens", run)[0][1]
    time.sleep(1.1)
    before = Path("var/keyring.json").read_bytes()
    for key_id, reason in {
        old: f"{number} tokens and 0 signing secrets",
        new: "is the current key",
        "sk_0000000000000000": "there is no key sk_0000000000000000",
    }.items():
        refused = run("keys", "remove", key_id)
        assert (refused.code, refused.out) == (1, "")
        assert reason in refused.err
        assert key_id in refused.err
    assert Path("var/keyring.json").read_bytes() == before


def test_a_key_that_seals_a_signing_secret_is_not_removed(run: Run) -> None:
    """Nor is one under which nothing else is: without it no message of theirs could be signed. A
    key that is lost is told of, with what to do.
    """
    old = run("keys", "generate", "--json").document["key_id"]
    run("migrate")
    store_signing_secrets(keyring_file.read(Path("var/keyring.json")), 3)
    assert said_of("webhook_secrets", run) == [("ok", "3, all under the current key")]
    new = run("keys", "rotate", "--accept-old-for", "1s", "--json").document["key_id"]
    time.sleep(1.1)
    status: list[dict[str, Any]] = run("keys", "status", "--json").document["keys"]
    assert [(key["key_id"], key["tokens"], key["webhook_secrets"]) for key in status] == [
        (new, 0, 0),
        (old, 0, 3),
    ]
    ((kind, detail),) = said_of("webhook_secrets", run)
    assert (kind, detail.split(":")[0]) == ("warn", "3 are not under the current key yet")
    refused = run("keys", "remove", old)
    assert refused.code == 1
    assert "0 tokens and 3 signing secrets of webhooks are sealed under it" in refused.err

    Path("var/keyring.json").unlink()
    run("keys", "generate")
    status = run("keys", "status", "--json").document["keys"]
    assert [(key["state"], key["webhook_secrets"]) for key in status] == [
        ("current", 0),
        ("missing", 3),
    ]
    ((kind, detail),) = said_of("webhook_secrets", run)
    assert kind == "warn"
    assert detail.startswith(f"3 are unreadable, since the keyring lacks {old}")
    assert "rotate the secret" in detail


def test_a_key_that_is_not_in_use_is_removed(run: Run) -> None:
    """From both halves of the keyring, once clients may no longer seal for it."""
    old = run("keys", "generate", "--json").document["key_id"]
    run("keys", "rotate", "--accept-old-for", "1h")
    refused = run("keys", "remove", old)
    assert refused.code == 1
    assert f"{old} is accepted from clients until" in refused.err
    second = run("keys", "list", "--json").document["keys"][0]["key_id"]
    third = run("keys", "rotate", "--accept-old-for", "1s", "--json").document["key_id"]
    time.sleep(1.1)
    assert run("keys", "remove", second, "--json").document["key_id"] == second
    for name in ("keyring.json", "keyring.public.json"):
        kept = keyring_file.read(Path("var") / name)
        assert [key.key_id for key in kept.keys] == [third, old]


def test_a_lost_key_is_told(run: Run) -> None:
    """Tokens under a key that the keyring does not have are counted and named as unreadable."""
    old = run("keys", "generate", "--json").document["key_id"]
    run("migrate")
    number = store(keyring_file.read(Path("var/keyring.json")), 3)
    Path("var/keyring.json").unlink()
    refused = run("serve", "--port", "0", "--with-worker")
    assert refused.code == 1
    assert "restore it from a backup" in refused.err
    assert not Path("var/keyring.json").exists()

    new = run("keys", "generate", "--json").document["key_id"]
    status: list[dict[str, Any]] = run("keys", "status", "--json").document["keys"]
    assert [(key["key_id"], key["state"], key["tokens"]) for key in status] == [
        (new, "current", 0),
        (old, "missing", number),
    ]
    ((kind, detail),) = said_of("tokens", run)
    assert kind == "warn"
    assert detail.startswith(f"{number} are unreadable, since the keyring lacks {old}")


@pytest.mark.parametrize("given", ["0d", "7", "-1d", "week"])
def test_a_window_that_is_none(run: Run, given: str) -> None:
    """What is no duration is refused by the option's name, and nothing is rotated."""
    run("keys", "generate")
    before = Path("var/keyring.json").read_bytes()
    ended = run("keys", "rotate", "--accept-old-for", given)
    assert ended.code == 2
    assert "--accept-old-for" in ended.err
    assert Path("var/keyring.json").read_bytes() == before
