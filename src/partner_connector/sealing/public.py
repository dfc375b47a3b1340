"""The half that can seal and cannot open."""

import base64
import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime

from nacl.public import PublicKey, SealedBox

from partner_connector.sealing.keyring import KeyringFile

# A sealed box adds an ephemeral public key and a tag to what it holds.
SEALED_BOX_OVERHEAD = 48


@dataclass(frozen=True, slots=True)
class SealedToken:
    """A token as it arrives in the database: a sealed box and the id of the key that opens it."""

    key_id: str
    box: bytes


@dataclass(frozen=True, slots=True)
class SealingKey:
    """A published public key."""

    key_id: str
    state: str
    public_key: str
    created_at: datetime


class PublicKeyring:
    """The public keys, and the secrets that this service derives for its own hashes."""

    def __init__(self, ring: KeyringFile) -> None:
        self._service_secret = base64.b64decode(ring.service_secret)
        self.keys = tuple(
            SealingKey(
                key.key_id, key.state, key.public_key, datetime.fromisoformat(key.created_at)
            )
            for key in ring.keys
        )
        self.current = next(key for key in self.keys if key.state == "current")
        self._box = SealedBox(PublicKey(base64.b64decode(self.current.public_key)))

    def seal(self, token: str) -> SealedToken:
        """Seal a token under the current key. From here on only a worker can read it."""
        return SealedToken(self.current.key_id, self._box.encrypt(token.encode()))

    def knows(self, key_id: str) -> bool:
        """Whether a client may have sealed with this key."""
        return any(key.key_id == key_id for key in self.keys)

    def derive(self, purpose: bytes) -> bytes:
        """A 32-byte secret for one purpose (at most 16 bytes, never reused for another)."""
        return hashlib.blake2b(self._service_secret, digest_size=32, person=purpose).digest()

    def fingerprint(self, token: str) -> str:
        """A keyed hash that tells two tokens apart without telling anything about them."""
        key = self.derive(b"pc-fingerprint")
        return hmac.new(key, token.encode(), hashlib.sha256).hexdigest()[:32]
