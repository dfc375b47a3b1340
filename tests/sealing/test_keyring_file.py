"""The keyring's file: readable by its owner only, never overwritten, and refused when damaged."""

import base64
import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from partner_connector.cli import provision
from partner_connector.sealing import keyring as keyring_file
from partner_connector.sealing.keyring import KeyringError, KeyringFile, rotated
from partner_connector.sealing.private import PrivateKeyring
from partner_connector.sealing.public import PublicKeyring

Document = dict[str, Any]


@pytest.fixture
def path(tmp_path: Path, ring: KeyringFile) -> Path:
    """A keyring that was written to a file."""
    path = tmp_path / "keyring.json"
    keyring_file.write_new(path, ring)
    return path


def mode(path: Path) -> int:
    """Return the permission bits of a file."""
    return stat.S_IMODE(path.stat().st_mode)


def test_keyring_files_are_readable_by_owner_only(tmp_path: Path) -> None:
    """Create both files with mode 0600, and keep it through a rotation."""
    path = tmp_path / "deep" / "keyring.json"
    provision.generate_keyring(path)
    public = provision.public_sibling(path)
    assert [mode(path), mode(public)] == [0o600, 0o600]
    provision.rotate_keyring(path)
    assert [mode(path), mode(public)] == [0o600, 0o600]


def test_keyring_is_never_overwritten(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(KeyringError, match="exists already"):
        keyring_file.write_new(path, keyring_file.generate())
    with pytest.raises(KeyringError, match="exists already"):
        provision.generate_keyring(path)
    assert path.read_bytes() == before


def test_written_keyring_is_read_back_the_same(path: Path, ring: KeyringFile) -> None:
    """Leave no other file behind after a replacement."""
    assert keyring_file.read(path) == ring
    newer = rotated(ring)
    keyring_file.replace_atomically(path, newer)
    assert keyring_file.read(path) == newer
    assert [each.name for each in path.parent.iterdir()] == ["keyring.json"]


def test_public_file_holds_no_private_key(path: Path, ring: KeyringFile) -> None:
    """Export every public key, and no private key in any form."""
    public = path.with_name("public.json")
    provision.export_public(rotated(ring), public)
    text = public.read_text(encoding="utf-8")
    assert "private" not in text
    assert ring.current.private_key is not None
    assert ring.current.private_key not in text
    assert not keyring_file.read(public).holds_private_keys
    assert len(keyring_file.read(public).keys) == 2
    with pytest.raises(KeyringError):
        rotated(keyring_file.read(public))


def test_rotation_updates_public_file(tmp_path: Path) -> None:
    path = tmp_path / "keyring.json"
    provision.generate_keyring(path)
    ring = provision.rotate_keyring(path)
    public = keyring_file.read(provision.public_sibling(path))
    assert public == ring.public_half()


def _short_private_key(document: Document) -> None:
    document["keys"][0]["private_key"] = base64.b64encode(b"x" * 31).decode()


def _long_key(document: Document) -> None:
    document["keys"][0]["public_key"] = base64.b64encode(b"x" * 33).decode()


def _short_secret(document: Document) -> None:
    document["service_secret"] = base64.b64encode(b"x" * 16).decode()


def _no_secret(document: Document) -> None:
    del document["service_secret"]


def _no_keys(document: Document) -> None:
    document["keys"] = []


def _keys_that_are_no_list(document: Document) -> None:
    document["keys"] = "none"


def _two_current(document: Document) -> None:
    document["keys"].append({**document["keys"][0], "key_id": "sk_0000000000000000"})


def _none_current(document: Document) -> None:
    document["keys"][0]["state"] = "retiring"


def _unknown_state(document: Document) -> None:
    document["keys"].append({**document["keys"][0], "key_id": "sk_" + "0" * 16, "state": "spare"})


def _accepted_until_without_time_zone(document: Document) -> None:
    document["keys"][0]["accepted_until"] = "2026-11-24T09:30:00"


def _long_private_key(document: Document) -> None:
    document["keys"][0]["private_key"] = base64.b64encode(b"x" * 33).decode()


def _empty_public_key(document: Document) -> None:
    document["keys"][0]["public_key"] = ""


def _not_base64(document: Document) -> None:
    document["keys"][0]["private_key"] = "!" * 44


def _key_that_is_a_number(document: Document) -> None:
    document["keys"][0]["public_key"] = 7


def _unknown_member(document: Document) -> None:
    document["keys"][0]["surprise"] = 1


def _unknown_format(document: Document) -> None:
    document["format"] = 2


def _malformed_created_at(document: Document) -> None:
    document["keys"][0]["created_at"] = "yesterday"


def _created_at_without_time_zone(document: Document) -> None:
    document["keys"][0]["created_at"] = "2026-11-24T09:30:00"


def _key_without_id(document: Document) -> None:
    document["keys"][0]["key_id"] = None


def _one_id_twice(document: Document) -> None:
    document["keys"].append({**document["keys"][0], "state": "retiring"})


def _halves_of_different_keys(document: Document) -> None:
    other = keyring_file.generate().current
    document["keys"][0]["public_key"] = other.public_key


@pytest.mark.parametrize(
    "damage",
    [
        _short_private_key,
        _long_key,
        _short_secret,
        _no_secret,
        _no_keys,
        _keys_that_are_no_list,
        _two_current,
        _none_current,
        _unknown_state,
        _accepted_until_without_time_zone,
        _long_private_key,
        _empty_public_key,
        _not_base64,
        _key_that_is_a_number,
        _unknown_member,
        _unknown_format,
        _malformed_created_at,
        _created_at_without_time_zone,
        _key_without_id,
        _one_id_twice,
        _halves_of_different_keys,
    ],
    ids=lambda damage: damage.__name__,
)
def test_damaged_file_is_refused(path: Path, damage: Callable[[Document], None]) -> None:
    """Name the file in the error, and quote nothing from it."""
    document = json.loads(path.read_text(encoding="utf-8"))
    secrets = [document["service_secret"], document["keys"][0]["private_key"]]
    damage(document)
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(KeyringError) as caught:
        PublicKeyring(keyring_file.read(path))
    assert str(path) in str(caught.value)
    assert not [secret for secret in secrets if secret in str(caught.value)]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'"x"', b"7", b"\xff\xfe"])
def test_file_without_keyring_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(KeyringError, match=path.name):
        keyring_file.read(path)


def test_missing_file_and_directory_are_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyringError, match="there is no keyring at"):
        keyring_file.read(tmp_path / "absent.json")
    with pytest.raises(KeyringError, match="cannot be read"):
        keyring_file.read(tmp_path)


def test_worker_refuses_public_file(path: Path, ring: KeyringFile) -> None:
    keyring_file.replace_atomically(path, ring.public_half())
    with pytest.raises(KeyringError, match="full keyring"):
        PrivateKeyring(keyring_file.read(path))
