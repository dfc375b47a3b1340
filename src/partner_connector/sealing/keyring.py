"""The keyring file: format, creation, rotation and the export of its public half.

The full file holds private keys and stays on worker hosts. The API needs only the public half: the
public keys, and the service secret, which is the key of hashes and cursors but opens no token.
"""

import base64
import fcntl
import json
import os
import re
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Protocol

from nacl.exceptions import CryptoError
from nacl.public import PrivateKey

from partner_connector.clock import now
from partner_connector.errors import OperatorError

ALGORITHM = "libsodium_sealed_box_x25519"
# Time after a rotation in which clients may still seal with the key that they fetched before.
ACCEPTED_FOR = timedelta(days=7)
_FORMAT = 1
_KEY_BYTES = 32


class KeyringError(OperatorError):
    """A keyring file that is missing, damaged or of the wrong kind. Messages hold no key."""


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """A sealing key pair. Keys are standard base64; `private_key` is absent in a public file."""

    key_id: str
    created_at: str
    state: str
    public_key: str
    private_key: str | None = None
    accepted_until: str | None = None
    """Time from which tokens sealed with a retiring key are refused. The key still decrypts."""

    def __repr__(self) -> str:
        return f"KeyEntry({self.key_id}, {self.state})"

    def is_accepted(self, at: datetime) -> bool:
        """Return whether a client may seal with this key at that instant."""
        if self.accepted_until is None:
            return self.state == "current"
        return at < datetime.fromisoformat(self.accepted_until)


@dataclass(frozen=True, slots=True)
class KeyringFile:
    """Content of a keyring file. Exactly one key is `current`; the others are `retiring`."""

    service_secret: str
    keys: tuple[KeyEntry, ...]

    def __repr__(self) -> str:
        return f"KeyringFile({list(self.keys)})"

    @property
    def current(self) -> KeyEntry:
        """Key with which new tokens are sealed."""
        return next(key for key in self.keys if key.state == "current")

    @property
    def holds_private_keys(self) -> bool:
        """True for a full keyring, which may be on worker hosts only."""
        return any(key.private_key is not None for key in self.keys)

    def latest(self) -> "KeyringFile":
        """Return the keyring itself: it is not read again."""
        return self

    def public_half(self) -> "KeyringFile":
        """Return the same keyring without private keys."""
        return replace(self, keys=tuple(replace(key, private_key=None) for key in self.keys))


class KeyringSource(Protocol):
    """Source of a keyring, which may be rotated while it is in use."""

    def latest(self) -> KeyringFile:
        """Return the keyring as it is now."""
        ...

    def public_half(self) -> "KeyringSource":
        """Return a source of the same keyring without private keys."""
        ...


def _new_key() -> KeyEntry:
    private = PrivateKey.generate()
    public = private.public_key.encode()
    return KeyEntry(
        key_id="sk_" + secrets.token_hex(8),
        created_at=now().isoformat(timespec="seconds"),
        state="current",
        public_key=base64.b64encode(public).decode(),
        private_key=base64.b64encode(private.encode()).decode(),
    )


def generate(public_half: KeyringFile | None = None) -> KeyringFile:
    """Return a new keyring with one key.

    When only the private keys are lost, pass the remaining public half: its service secret is kept,
    so API keys and fingerprints stay valid.
    """
    service_secret = base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()
    if public_half is not None:
        service_secret = public_half.service_secret
    return KeyringFile(service_secret=service_secret, keys=(_new_key(),))


def rotated(ring: KeyringFile, accepted_for: timedelta = ACCEPTED_FOR) -> KeyringFile:
    """Return the keyring with a new current key. Raise `KeyringError` for a public keyring.

    The key that was current still decrypts tokens. Callers may seal with it for `accepted_for`.
    """
    if not ring.holds_private_keys:
        raise KeyringError("this is a public keyring: rotate the full one and export it again")
    new = _new_key()
    retiring = tuple(_retiring(key, now() + accepted_for) for key in ring.keys)
    return replace(ring, keys=(new, *retiring))


def _retiring(key: KeyEntry, accepted_until: datetime) -> KeyEntry:
    """Return a key as retiring. A key that is already retiring keeps its `accepted_until`."""
    if key.state == "retiring":
        return key
    until = accepted_until.isoformat(timespec="seconds")
    return replace(key, state="retiring", accepted_until=until)


def without_key(ring: KeyringFile, key_id: str, at: datetime) -> KeyringFile:
    """Return the keyring without this key.

    Raise `KeyringError` if there is no such key, or if it is current or still accepted from
    clients. The caller makes sure that nothing is sealed with it: such tokens would be lost.
    """
    key = next((key for key in ring.keys if key.key_id == key_id), None)
    if key is None:
        raise KeyringError(f"there is no key {key_id} in this keyring")
    if key.state == "current":
        raise KeyringError(f"{key_id} is the current key: rotate first")
    if key.is_accepted(at):
        raise KeyringError(f"{key_id} is accepted from clients until {key.accepted_until}")
    return replace(ring, keys=tuple(kept for kept in ring.keys if kept.key_id != key_id))


def read(path: Path) -> KeyringFile:
    """Parse a keyring file. Raise `KeyringError`."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise KeyringError(f"there is no keyring at {path}") from None
    except OSError as error:
        raise KeyringError(f"the keyring at {path} cannot be read: {error.strerror}") from None
    except ValueError:
        raise KeyringError(f"the keyring at {path} is not JSON") from None
    try:
        if document["format"] != _FORMAT:
            raise KeyringError(
                f"the keyring at {path} has a format that this version does not support"
            )
        keys = _with_windows([KeyEntry(**entry) for entry in document["keys"]])
        ring = KeyringFile(service_secret=document["service_secret"], keys=keys)
        well_formed = _is_well_formed(ring)
    except (KeyError, TypeError, ValueError, CryptoError):
        well_formed = False
    if not well_formed:
        raise KeyringError(f"the keyring at {path} is damaged; restore it from a backup")
    return ring


def _with_windows(keys: Sequence[KeyEntry]) -> tuple[KeyEntry, ...]:
    """Add a missing `accepted_until` to retiring keys, which earlier versions did not write.

    A key is retiring since its successor, the key before it in the file, was made.
    """
    return tuple(
        key
        if key.state == "current" or key.accepted_until is not None
        else _retired_by(key, successor)
        for successor, key in pairwise([*keys[:1], *keys])
    )


def _retired_by(key: KeyEntry, successor: KeyEntry) -> KeyEntry:
    until = datetime.fromisoformat(successor.created_at) + ACCEPTED_FOR
    return replace(key, accepted_until=until.isoformat(timespec="seconds"))


def _is_well_formed(ring: KeyringFile) -> bool:
    secrets_ = [ring.service_secret]
    for key in ring.keys:
        secrets_ += [key.public_key] + ([key.private_key] if key.private_key else [])
    if sum(key.state == "current" for key in ring.keys) != 1:
        return False
    if len({key.key_id for key in ring.keys}) != len(ring.keys):
        return False
    return all(_is_well_formed_key(key) for key in ring.keys) and all(
        len(base64.b64decode(s, validate=True)) == _KEY_BYTES for s in secrets_
    )


def _is_well_formed_key(key: KeyEntry) -> bool:
    if not re.fullmatch(r"sk_[0-9a-f]{16}", key.key_id):
        return False
    if key.state not in {"current", "retiring"}:
        return False
    times = [time for time in (key.created_at, key.accepted_until) if time is not None]
    if any(datetime.fromisoformat(time).tzinfo is None for time in times):
        return False
    if key.private_key is None:
        return True
    # With a public key of another pair, tokens would be sealed that no key opens.
    private = PrivateKey(base64.b64decode(key.private_key))
    return base64.b64encode(private.public_key.encode()).decode() == key.public_key


def write_new(path: Path, ring: KeyringFile) -> None:
    """Create the file, readable by its owner only.

    Raise `KeyringError` if it exists: tokens sealed with an overwritten key would be lost.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise KeyringError(f"{path} exists already and is not overwritten") from None
    except OSError as error:
        raise KeyringError(f"{path} cannot be written: {error.strerror}") from None
    _write(descriptor, ring)
    _sync_directory(path.parent)


def replace_atomically(path: Path, ring: KeyringFile) -> None:
    """Replace the file in one step: a crash leaves the old or the new one, never a part."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".keyring-")
    except OSError as error:
        raise KeyringError(f"{path} cannot be written: {error.strerror}") from None
    _write(descriptor, ring)
    Path(name).replace(path)
    _sync_directory(path.parent)


@contextmanager
def keyring_lock(path: Path) -> Iterator[None]:
    """Lock the keyring's directory for the block, so that changes do not overwrite each other.

    Raise `KeyringError` if there is no such directory.
    """
    try:
        directory = os.open(path.parent, os.O_RDONLY)
    except OSError:
        raise KeyringError(f"there is no keyring at {path}") from None
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        yield
    finally:
        os.close(directory)


def _sync_directory(directory: Path) -> None:
    """Write the directory to disk: after a power cut the file must exist, as its key is in use."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(descriptor: int, ring: KeyringFile) -> None:
    keys = [{k: v for k, v in asdict(key).items() if v is not None} for key in ring.keys]
    document = {"format": _FORMAT, "service_secret": ring.service_secret, "keys": keys}
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(json.dumps(document, indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
