"""A keyring that is read again when its file was replaced, so that a rotation needs no restart.

The file's metadata are read on every use. That takes microseconds, far less than the use of a key.
"""

from pathlib import Path

import structlog

from partner_connector.sealing.keyring import KeyringError, KeyringFile, read

log = structlog.get_logger()

_FileVersion = tuple[int, int, int, int]


class ReloadingKeyring:
    """The keyring in a file, read again when the file changes.

    If the file is damaged, missing or of another kind than at the start, the keys that were read
    before stay in use and a warning is logged.
    """

    def __init__(self, path: Path, *, without_private_keys: bool = False) -> None:
        """Read the file. Raise `KeyringError` if that fails."""
        self.path = path
        self._without_private_keys = without_private_keys
        # Before the file is read: a replacement in the meantime is then found at the next use.
        self._version = _version_of(path)
        ring = read(path)
        self._held_private_keys = ring.holds_private_keys
        self._ring = self._kept(ring)

    def __repr__(self) -> str:
        return f"KeyringOnDisk({self.path}, {self._ring!r})"

    def latest(self) -> KeyringFile:
        """Return the keyring as it is now."""
        version = _version_of(self.path)
        if version != self._version:
            self._version = version
            self._read_again()
        return self._ring

    def public_half(self) -> "ReloadingKeyring":
        """Return the same file's keyring without private keys. Raise `KeyringError`."""
        return ReloadingKeyring(self.path, without_private_keys=True)

    def _read_again(self) -> None:
        try:
            ring = read(self.path)
            self._require_same_keyring(ring)
        except KeyringError as error:
            log.warning("keyring_not_reloaded", reason=str(error))
            return
        self._ring = self._kept(ring)
        log.info("keyring_reloaded", current=ring.current.key_id, keys=len(ring.keys))

    def _require_same_keyring(self, ring: KeyringFile) -> None:
        if ring.holds_private_keys != self._held_private_keys:
            kind = "full" if ring.holds_private_keys else "public"
            raise KeyringError(f"the keyring at {self.path} is now a {kind} keyring")
        if ring.service_secret != self._ring.service_secret:
            # API keys and cursors depend on the secret, which a rotation does not change.
            raise KeyringError(
                f"the keyring at {self.path} was replaced by another keyring: restart to use it"
            )

    def _kept(self, ring: KeyringFile) -> KeyringFile:
        return ring.public_half() if self._without_private_keys else ring


def _version_of(path: Path) -> _FileVersion | None:
    """Return values that change when the file is replaced or written; None without a file."""
    try:
        found = path.stat()
    except OSError:
        return None
    # With the ctime: a change of the file's permissions changes nothing else.
    return found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size
