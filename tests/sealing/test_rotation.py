"""Rotation: the states of a key, and running processes that reload the keyring."""

import base64
import inspect
import json
import os
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from partner_connector.cli import keys, provision
from partner_connector.cli.terminal import duration
from partner_connector.clock import now
from partner_connector.sealing import keyring as keyring_file
from partner_connector.sealing.keyring import (
    ACCEPTED_FOR,
    KeyringError,
    KeyringFile,
    rotated,
    without_key,
)
from partner_connector.sealing.private import Binding, PrivateKeyring, UnreadableToken
from partner_connector.sealing.public import PublicKeyring
from partner_connector.sealing.reloading import ReloadingKeyring

TOKEN = "EAABsbCS1iHgBO0made0up0for0these0tests0only"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The path of a keyring, with its public half beside it."""
    path = tmp_path / "keyring.json"
    provision.generate_keyring(path)
    return path


def test_previous_key_is_accepted_for_a_week(ring: KeyringFile) -> None:
    """Give clients a week to fetch the new key. A second rotation does not extend it."""
    newer = rotated(ring)
    before = newer.keys[1]
    assert before.accepted_until is not None
    until = datetime.fromisoformat(before.accepted_until)
    assert timedelta(0) <= now() + ACCEPTED_FOR - until < timedelta(minutes=1)
    assert before.is_accepted(until - timedelta(seconds=1))
    assert not before.is_accepted(until)
    assert newer.current.is_accepted(until + timedelta(days=9999))
    assert rotated(newer, timedelta(days=99)).keys[2] == before


def test_keys_rotate_has_same_default_window() -> None:
    """Compare the option's default with the keyring's.

    It is written out because `--help` loads no keyring.
    """
    default = inspect.signature(keys.rotate).parameters["accept_old_for"].default
    assert duration("--accept-old-for", default) == ACCEPTED_FOR


def test_key_after_its_window_only_opens(ring: KeyringFile, binding: Binding) -> None:
    """Neither publish nor accept the key, but open everything that it sealed."""
    box = PublicKeyring(ring).seal(TOKEN)
    at_rest = PrivateKeyring(ring).seal_at_rest(TOKEN, binding)
    for window, accepted in ((timedelta(hours=1), True), (timedelta(0), False)):
        newer = rotated(ring, window)
        public = PublicKeyring(newer)
        assert public.accepts(box.key_id) is accepted
        assert (box.key_id in {key.key_id for key in public.accepted}) is accepted
        assert public.accepts(newer.current.key_id)
        assert PrivateKeyring(newer).open_box(box) == TOKEN
        assert PrivateKeyring(newer).open_at_rest(at_rest, binding) == TOKEN


def test_file_without_windows_gets_them_from_next_key(path: Path) -> None:
    """Start the window of an old key when the next key was created."""
    provision.rotate_keyring(path)
    provision.rotate_keyring(path)
    document = json.loads(path.read_text(encoding="utf-8"))
    made = ["2026-11-20T10:00:00+00:00", "2026-11-02T10:00:00+00:00", "2026-11-01T10:00:00+00:00"]
    for key, created_at in zip(document["keys"], made, strict=True):
        key["created_at"] = created_at
        key.pop("accepted_until", None)
    path.write_text(json.dumps(document), encoding="utf-8")
    assert [key.accepted_until for key in keyring_file.read(path).keys] == [
        None,
        "2026-11-27T10:00:00+00:00",
        "2026-11-09T10:00:00+00:00",
    ]


def test_only_retired_key_after_its_window_can_be_removed(
    ring: KeyringFile, binding: Binding
) -> None:
    """Raise `UnreadableToken` for everything that was sealed under the removed key."""
    at_rest = PrivateKeyring(ring).seal_at_rest(TOKEN, binding)
    newer = rotated(ring, timedelta(hours=1))
    old = ring.current.key_id
    with pytest.raises(KeyringError, match=rf"^{newer.current.key_id} is the current key"):
        without_key(newer, newer.current.key_id, now())
    with pytest.raises(KeyringError, match=rf"^{old} is accepted from clients until 2"):
        without_key(newer, old, now())
    with pytest.raises(KeyringError, match="there is no key sk_0 in"):
        without_key(newer, "sk_0", now())
    left = without_key(newer, old, now() + timedelta(hours=2))
    assert [key.key_id for key in left.keys] == [newer.current.key_id]
    with pytest.raises(UnreadableToken, match=r"^key_lost$"):
        PrivateKeyring(left).open_at_rest(at_rest, binding)


def test_both_halves_follow_their_files(path: Path, binding: Binding) -> None:
    """Use a rotated and a restored keyring without creating new objects."""
    private = PrivateKeyring(ReloadingKeyring(path))
    public = PublicKeyring(ReloadingKeyring(provision.public_sibling(path)))
    first = keyring_file.read(path)
    old_box, old = public.seal(TOKEN), private.seal_at_rest(TOKEN, binding)
    newer = provision.rotate_keyring(path)
    box, new = public.seal(TOKEN), private.seal_at_rest(TOKEN, binding)
    assert {box.key_id, new.key_id, public.current.key_id} == {newer.current.key_id}
    assert [private.open_box(each) for each in (old_box, box)] == [TOKEN, TOKEN]
    assert [private.open_at_rest(each, binding) for each in (old, new)] == [TOKEN, TOKEN]
    keyring_file.replace_atomically(path, first)
    assert private.current_key_id == first.current.key_id
    assert private.open_at_rest(old, binding) == TOKEN
    with pytest.raises(UnreadableToken, match=r"^key_lost$"):
        private.open_at_rest(new, binding)


def _truncated(path: Path) -> None:
    path.write_text(path.read_text(encoding="utf-8")[:-40], encoding="utf-8")


def _deleted(path: Path) -> None:
    path.unlink()


def _other_keyring(path: Path) -> None:
    keyring_file.replace_atomically(path, keyring_file.generate())


def _public_half_only(path: Path) -> None:
    keyring_file.replace_atomically(path, keyring_file.read(path).public_half())


@pytest.mark.parametrize("damage", [_truncated, _deleted, _other_keyring, _public_half_only])
def test_bad_file_keeps_previous_keys(path: Path, binding: Binding, damage: object) -> None:
    """Log the name of the file once, and no key. Use a good file again."""
    assert callable(damage)
    good = keyring_file.read(path)
    private = PrivateKeyring(ReloadingKeyring(path))
    sealed = private.seal_at_rest(TOKEN, binding)
    damage(path)
    with capture_logs() as logs:
        for _ in range(3):
            assert private.open_at_rest(sealed, binding) == TOKEN
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [
        ("keyring_not_reloaded", "warning")
    ]
    assert str(path) in logs[0]["reason"]
    assert good.current.private_key not in logs[0]["reason"]
    newer = rotated(good)
    keyring_file.replace_atomically(path, newer)
    assert private.current_key_id == newer.current.key_id


def test_running_api_refuses_private_keys(path: Path) -> None:
    """Write a full keyring over the public file."""
    public_path = provision.public_sibling(path)
    public = PublicKeyring(ReloadingKeyring(public_path))
    newer = rotated(keyring_file.read(path))
    keyring_file.replace_atomically(public_path, newer)
    with capture_logs() as logs:
        assert public.current.key_id != newer.current.key_id
    assert [entry["event"] for entry in logs] == ["keyring_not_reloaded"]


def test_public_half_of_full_file_holds_no_private_key(path: Path) -> None:
    """Protect private keys also where API and worker share a process."""
    ring = ReloadingKeyring(path)
    half = ring.public_half()
    provision.rotate_keyring(path)
    assert ring.latest().holds_private_keys
    assert not half.latest().holds_private_keys
    assert half.latest().current.key_id == ring.latest().current.key_id
    secrets = [key.private_key or "" for key in ring.latest().keys]
    assert not [secret for secret in secrets if secret in f"{ring!r} {half!r} {vars(half)}"]


def test_file_written_in_place_is_loaded_when_complete(path: Path) -> None:
    ring = ReloadingKeyring(path)
    newer = rotated(ring.latest())
    copy = path.with_name("copy.json")
    keyring_file.write_new(copy, newer)
    text = copy.read_bytes()
    with path.open("wb") as file:
        for part in (text[:100], text[100:]):
            file.write(part)
            file.flush()
            os.fsync(file.fileno())
            seen = ring.latest()
            assert (seen == newer) is (path.read_bytes() == text)
    assert ring.latest() == newer


def test_new_keyring_keeps_secrets_of_surviving_public_half(path: Path) -> None:
    """Lose the private keys only: API keys, cursors and fingerprints stay the same."""
    before = PublicKeyring(keyring_file.read(path))
    path.unlink()
    after = PublicKeyring(provision.generate_keyring(path))
    assert after.current != before.current
    assert after.derive(b"pc-api-keys") == before.derive(b"pc-api-keys")
    assert after.fingerprint(TOKEN) == before.fingerprint(TOKEN)
    assert base64.b64decode(after.current.public_key) != base64.b64decode(before.current.public_key)
