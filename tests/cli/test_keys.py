"""`keys generate | list | rotate | public`."""

import json
import stat
from pathlib import Path

import pytest

from partner_connector.sealing import keyring as keyring_file
from tests.cli.conftest import Run


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
    assert {name for key in keys for name in key} == {"key_id", "state", "created_at"}
    plain = run("keys", "list").out
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
