"""The half that can seal and cannot open."""

import base64
import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime

from nacl.public import PublicKey, SealedBox

from partner_connector.clock import now
from partner_connector.sealing.keyring import KeyEntry, Ring

# A sealed box adds an ephemeral public key and a tag to what it holds.
SEALED_BOX_OVERHEAD = 48


@dataclass(frozen=True, slots=True)
class SealedToken:
    """A token as it arrives in the database: a sealed box and the id of the key that opens it.

    The fingerprint is known only of one that arrived in clear: no two boxes of a token are alike.
    """

    key_id: str
    box: bytes
    fingerprint: str | None = None


@dataclass(frozen=True, slots=True)
class SealingKey:
    """A published public key. `expires_at` is when a retiring one is no longer accepted."""

    key_id: str
    state: str
    public_key: str
    created_at: datetime
    expires_at: datetime | None


class PublicKeyring:
    """The public keys, and the secrets that this service derives for its own hashes.

    Follows the rotations of its ring. Its service secret never changes.
    """

    def __init__(self, ring: Ring) -> None:
        self._ring = ring.public_half()
        self._service_secret = base64.b64decode(self._ring.latest().service_secret)

    @property
    def current(self) -> SealingKey:
        """The key to seal for."""
        return _published(self._ring.latest().current)

    @property
    def accepted(self) -> tuple[SealingKey, ...]:
        """Every key that a client may have sealed for, the current one and those of late."""
        at = now()
        return tuple(_published(key) for key in self._ring.latest().keys if key.is_accepted(at))

    def seal(self, token: str) -> SealedToken:
        """Seal a token under the current key. From here on only a worker can read it."""
        current = self.current
        box = SealedBox(PublicKey(base64.b64decode(current.public_key)))
        return SealedToken(current.key_id, box.encrypt(token.encode()), self.fingerprint(token))

    def accepts(self, key_id: str) -> bool:
        """Whether a client may have sealed with this key."""
        return any(key.key_id == key_id for key in self.accepted)

    def derive(self, purpose: bytes) -> bytes:
        """A 32-byte secret for one purpose (at most 16 bytes, never reused for another)."""
        return hashlib.blake2b(self._service_secret, digest_size=32, person=purpose).digest()

    def fingerprint(self, token: str) -> str:
        """A keyed hash that tells two tokens apart without telling anything about them."""
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
