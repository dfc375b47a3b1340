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
from partner_connector.features.webhooks.signing_secrets import create_signing_secret
from partner_connector.features.workspaces import repository as workspaces
from partner_connector.sealing import keyring as keyring_file
from partner_connector.sealing.keyring import KeyringFile
from partner_connector.sealing.public import PublicKeyring
from partner_connector.settings import load_settings
from tests.api import rows
from tests.cli.conftest import Run
from tests.support.sealed_tokens import store_tokens

Result = TypeVar("Result")


def mode(path: Path) -> int:
    """Return the permission bits of a file."""
    return stat.S_IMODE(path.stat().st_mode)


def test_generate(run: Run) -> None:
    """Create the keyring and its public half, readable by their owner only."""
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
    """Refuse a second time with one line, and leave the keys unchanged."""
    path = Path(run("keys", "generate", "--json").document["keyring_file"])
    before = path.read_bytes()
    ended = run("keys", "generate", "--json")
    assert (ended.code, ended.out) == (1, "")
    assert len(ended.err.splitlines()) == 1
    assert "exists already" in ended.err
    assert path.read_bytes() == before


def test_generate_at_keyring_file(run: Run, tmp_path: Path) -> None:
    """Create the keyring at `KEYRING_FILE`."""
    path = tmp_path / "secrets" / "ring.json"
    document = run("keys", "generate", "--json", KEYRING_FILE=str(path)).document
    assert document["keyring_file"] == str(path)
    assert path.exists()


def test_rotate_and_list(run: Run) -> None:
    """Add a current key and keep the old key; list both without showing a key."""
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
    """Write the public half to any file, also after a rotation; it opens no token."""
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
    """Say in one line that there is no keyring."""
    ended = run("keys", *command)
    assert (ended.code, ended.out) == (1, "")
    assert "there is no keyring at" in ended.err
    assert len(ended.err.splitlines()) == 1


def test_public_keyring_does_not_rotate(run: Run, tmp_path: Path) -> None:
    """Refuse to add a private key to the public half."""
    run("keys", "generate")
    public = tmp_path / "var" / "keyring.public.json"
    before = public.read_bytes()
    ended = run("keys", "rotate", KEYRING_FILE=str(public))
    assert ended.code == 1
    assert public.read_bytes() == before


def store(ring: KeyringFile, partners: int) -> int:
    """Store tokens in the database of this directory and return their number."""

    async def write(database: Database) -> int:
        return len(await store_tokens(database, ring, partners))

    return in_the_database(write)


def store_signing_secrets(ring: KeyringFile, number: int) -> None:
    """Store this number of webhook endpoints, each with a secret."""

    async def write(database: Database) -> None:
        async with database.writing() as session:
            workspace = await workspaces.create(session, "Test")
            for _ in range(number):
                endpoint = rows.webhook_endpoint(workspace.id)
                session.add(endpoint)
                await session.flush()
                await create_signing_secret(session, PublicKeyring(ring), endpoint)

    in_the_database(write)


def in_the_database(work: Callable[[Database], Awaitable[Result]]) -> Result:
    """Run the work with the database of this directory."""

    async def run_work() -> Result:
        database = open_database(load_settings())
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(run_work())


def findings_of(name: str, run: Run) -> list[tuple[str, str]]:
    """Return what `check` finds under this name. It exits with 1, since Meta is unreachable."""
    checked = run("check", "--json", GRAPH_BASE_URL="http://127.0.0.1:9")
    findings: list[dict[str, str]] = json.loads(checked.out)["checks"]
    return [(each["status"], each["detail"]) for each in findings if each["name"] == name]


def test_key_that_seals_tokens_is_not_removed(run: Run) -> None:
    """Refuse to remove a key in use, the current key and an unknown key, each by its id.

    `status` and `check` show how many tokens the key still seals.
    """
    old = run("keys", "generate", "--json").document["key_id"]
    run("migrate")
    ring = keyring_file.read(Path("var/keyring.json"))
    number = store(ring, 5)
    assert findings_of("tokens", run) == [("ok", f"{number}, all sealed under the current key")]
    new = run("keys", "rotate", "--accept-old-for", "1s", "--json").document["key_id"]

    status: list[dict[str, Any]] = run("keys", "status", "--json").document["keys"]
    assert [(key["key_id"], key["state"], key["tokens"]) for key in status] == [
        (new, "current", 0),
        (old, "retiring", number),
    ]
    assert f"{number} tokens" in run("keys", "status").out
    assert [status for status, _ in findings_of("tokens", run)] == ["warn"]
    assert f"{number} are sealed under an older key" in findings_of("tokens", run)[0][1]
    time.sleep(1.1)
    before = Path("var/keyring.json").read_bytes()
    for key_id, reason in {
        old: f"{number} tokens and 0 webhook signing secrets",
        new: "is the current key",
        "sk_0000000000000000": "there is no key sk_0000000000000000",
    }.items():
        refused = run("keys", "remove", key_id)
        assert (refused.code, refused.out) == (1, "")
        assert reason in refused.err
        assert key_id in refused.err
    assert Path("var/keyring.json").read_bytes() == before


def test_key_that_seals_a_webhook_secret_is_not_removed(run: Run) -> None:
    """Refuse to remove a key that seals webhook secrets; report a lost key and what to do."""
    old = run("keys", "generate", "--json").document["key_id"]
    run("migrate")
    store_signing_secrets(keyring_file.read(Path("var/keyring.json")), 3)
    assert findings_of("webhook_secrets", run) == [("ok", "3, all sealed under the current key")]
    new = run("keys", "rotate", "--accept-old-for", "1s", "--json").document["key_id"]
    time.sleep(1.1)
    status: list[dict[str, Any]] = run("keys", "status", "--json").document["keys"]
    assert [(key["key_id"], key["tokens"], key["webhook_secrets"]) for key in status] == [
        (new, 0, 0),
        (old, 0, 3),
    ]
    ((kind, detail),) = findings_of("webhook_secrets", run)
    assert (kind, detail.split(":")[0]) == ("warn", "3 are sealed under an older key")
    refused = run("keys", "remove", old)
    assert refused.code == 1
    assert "0 tokens and 3 webhook signing secrets are sealed under it" in refused.err

    Path("var/keyring.json").unlink()
    run("keys", "generate")
    status = run("keys", "status", "--json").document["keys"]
    assert [(key["state"], key["webhook_secrets"]) for key in status] == [
        ("current", 0),
        ("missing", 3),
    ]
    ((kind, detail),) = findings_of("webhook_secrets", run)
    assert kind == "warn"
    assert detail.startswith(f"3 are unreadable, because the keyring lacks {old}")
    assert "rotate the secret" in detail


def test_unused_key_is_removed(run: Run) -> None:
    """Remove the key from both halves once clients may no longer seal for it."""
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


def test_lost_key_is_reported(run: Run) -> None:
    """Count and report tokens as unreadable if the keyring lacks their key."""
    old = run("keys", "generate", "--json").document["key_id"]
    run("migrate")
    number = store(keyring_file.read(Path("var/keyring.json")), 3)
    Path("var/keyring.json").unlink()
    refused = run("serve", "--port", "0", "--with-worker")
    assert refused.code == 1
    assert "Restore the file from a backup" in refused.err
    assert not Path("var/keyring.json").exists()

    new = run("keys", "generate", "--json").document["key_id"]
    status: list[dict[str, Any]] = run("keys", "status", "--json").document["keys"]
    assert [(key["key_id"], key["state"], key["tokens"]) for key in status] == [
        (new, "current", 0),
        (old, "missing", number),
    ]
    ((kind, detail),) = findings_of("tokens", run)
    assert kind == "warn"
    assert detail.startswith(f"{number} are unreadable, because the keyring lacks {old}")


@pytest.mark.parametrize("given", ["0d", "7", "-1d", "week"])
def test_invalid_duration_is_refused(run: Run, given: str) -> None:
    """Name the option of an invalid duration, and rotate nothing."""
    run("keys", "generate")
    before = Path("var/keyring.json").read_bytes()
    ended = run("keys", "rotate", "--accept-old-for", given)
    assert ended.code == 2
    assert "--accept-old-for" in ended.err
    assert Path("var/keyring.json").read_bytes() == before
