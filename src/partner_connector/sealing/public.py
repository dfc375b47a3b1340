"""The public half of the keyring: it can seal tokens but not open them."""

import base64
import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime

from nacl.public import PublicKey, SealedBox

from partner_connector.clock import now
from partner_connector.sealing.keyring import KeyEntry, KeyringSource

# A sealed box adds an ephemeral public key and a tag to what it holds.
SEALED_BOX_OVERHEAD = 48


@dataclass(frozen=True, slots=True)
class SealedToken:
    """A sealed token as it is stored, and the id of the key that opens it.

    `fingerprint` is None for a token that the client sealed: each sealed box of a token differs.
    """

    key_id: str
    box: bytes
    fingerprint: str | None = None


@dataclass(frozen=True, slots=True)
class SealingKey:
    """A published public key. From `expires_at` on, a retiring key is no longer accepted."""

    key_id: str
    state: str
    public_key: str
    created_at: datetime
    expires_at: datetime | None


class PublicKeyring:
    """The public keys of a keyring, and secrets that are derived from its service secret.

    Rotations of the keyring take effect at once. The service secret never changes.
    """

    def __init__(self, ring: KeyringSource) -> None:
        self._ring = ring.public_half()
        self._service_secret = base64.b64decode(self._ring.latest().service_secret)

    @property
    def current(self) -> SealingKey:
        """Key to seal with."""
        return _published(self._ring.latest().current)

    @property
    def accepted(self) -> tuple[SealingKey, ...]:
        """Keys that callers may seal with: the current key, and retiring keys until they expire."""
        at = now()
        return tuple(_published(key) for key in self._ring.latest().keys if key.is_accepted(at))

    def seal(self, token: str) -> SealedToken:
        """Seal a token with the current key. Only a worker can decrypt the result."""
        current = self.current
        box = SealedBox(PublicKey(base64.b64decode(current.public_key)))
        return SealedToken(current.key_id, box.encrypt(token.encode()), self.fingerprint(token))

    def accepts(self, key_id: str) -> bool:
        """Return whether clients may seal with this key now."""
        return any(key.key_id == key_id for key in self.accepted)

    def derive(self, purpose: bytes) -> bytes:
        """Return a secret of 32 bytes for one purpose.

        The purpose has at most 16 bytes, and must not be reused for another use.
        """
        return hashlib.blake2b(self._service_secret, digest_size=32, person=purpose).digest()

    def fingerprint(self, token: str) -> str:
        """Return a keyed hash of a token: it identifies the token but reveals nothing of it."""
        key = self.derive(b"pc-fingerprint")
        return hmac.new(key, token.encode(), hashlib.sha256).hexdigest()[:32]


def _published(key: KeyEntry) -> SealingKey:
    until = key.accepted_until
    return SealingKey(
        key_id=key.key_id,
        state=key.state,
        public_key=key.public_key,
        created_at=datetime.fromisoformat(key.created_at),
        expires_at=None if until is None else datetime.fromisoformat(until),
    )
