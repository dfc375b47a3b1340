"""The keyring's file as a running process sees it: read again when it was replaced.

So a rotation needs no restart. The file is looked at on every use, which costs microseconds beside
what is done with a key.
"""

from pathlib import Path

import structlog

from partner_connector.sealing.keyring import KeyringError, KeyringFile, read

log = structlog.get_logger()

_Mark = tuple[int, int, int, int]


class KeyringOnDisk:
    """The keyring as its file has it now.

    A file that is damaged, gone, or of another kind than at the start changes nothing: the keys
    that were read before stay in use, and the log says why.
    """

    def __init__(self, path: Path, *, without_private_keys: bool = False) -> None:
        self.path = path
        self._without_private_keys = without_private_keys
        # Before it is read: what replaces it meanwhile is then found at the next look.
        self._mark = _mark_of(path)
        ring = read(path)
        self._held_private_keys = ring.holds_private_keys
        self._ring = self._kept(ring)

    def __repr__(self) -> str:
        return f"KeyringOnDisk({self.path}, {self._ring!r})"

    def latest(self) -> KeyringFile:
        """As it is now."""
        mark = _mark_of(self.path)
        if mark != self._mark:
            self._mark = mark
            self._read_again()
        return self._ring

    def public_half(self) -> "KeyringOnDisk":
        """The same file, of which nothing is kept that opens a token. Raises `KeyringError`."""
        return KeyringOnDisk(self.path, without_private_keys=True)

    def _read_again(self) -> None:
        try:
            ring = read(self.path)
            self._refuse_another(ring)
        except KeyringError as error:
            log.warning("keyring_not_reloaded", reason=str(error))
            return
        self._ring = self._kept(ring)
        log.info("keyring_reloaded", current=ring.current.key_id, keys=len(ring.keys))

    def _refuse_another(self, ring: KeyringFile) -> None:
        if ring.holds_private_keys != self._held_private_keys:
            kind = "full" if ring.holds_private_keys else "public"
            raise KeyringError(f"the keyring at {self.path} has become a {kind} one")
        if ring.service_secret != self._ring.service_secret:
            # API keys and cursors were made with the old secret: no rotation does this.
            raise KeyringError(f"the keyring at {self.path} is another one: restart to use it")

    def _kept(self, ring: KeyringFile) -> KeyringFile:
        return ring.public_half() if self._without_private_keys else ring


def _mark_of(path: Path) -> _Mark | None:
    """What changes when the file is replaced or written to; None while there is none."""
    try:
        seen = path.stat()
    except OSError:
        return None
    # With the time of its last change of any kind: who may read it changes nothing else.
    return seen.st_ino, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_size
