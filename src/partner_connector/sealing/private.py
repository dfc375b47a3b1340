"""The half that opens tokens. Only worker hosts have it, and only worker code imports it.

At rest a token is encrypted with XChaCha20-Poly1305 and bound to its workspace, owner, version
and key id: a ciphertext that is moved to another row does not open there. The encryption key is
derived from the private sealing key, so that losing the keyring loses, and rotating it renews,
both layers together.
"""

import base64
import hashlib
import uuid
from dataclasses import dataclass

from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, SealedBox
from nacl.secret import Aead

from partner_connector.sealing.keyring import KeyringError, Ring
from partner_connector.sealing.public import SealedToken


class UnreadableToken(Exception):
    """The key is lost, or the ciphertext was altered or moved. Says which, never what was in it."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Binding:
    """What a ciphertext at rest belongs to. `owner_id` is the partner, or our own integration."""

    workspace_id: uuid.UUID
    owner_id: uuid.UUID
    version: int

    def associated_data(self, key_id: str) -> bytes:
        """The bytes that are authenticated with the ciphertext, but not stored in it."""
        parts = ("v1", self.workspace_id.hex, self.owner_id.hex, str(self.version), key_id)
        return "|".join(parts).encode()


class PrivateKeyring:
    """Every private key by its id, as the ring has them now. `repr` shows ids only."""

    def __init__(self, ring: Ring) -> None:
        if not ring.latest().holds_private_keys:
            raise KeyringError("a worker needs the full keyring: this file has public keys only")
        self._ring = ring

    def __repr__(self) -> str:
        return f"PrivateKeyring({sorted(self.key_ids)})"

    @property
    def key_ids(self) -> frozenset[str]:
        """Every key that opens something here."""
        return frozenset(key.key_id for key in self._ring.latest().keys)

    @property
    def current_key_id(self) -> str:
        """The key under which everything is to be sealed."""
        return self._ring.latest().current.key_id

    def open_box(self, sealed: SealedToken) -> str:
        """Open an inbound sealed box. Raises `UnreadableToken`."""
        try:
            return SealedBox(self._key(sealed.key_id)).decrypt(sealed.box).decode()
        except (CryptoError, UnicodeDecodeError, ValueError, TypeError):
            raise UnreadableToken("sealed_box_unreadable") from None

    def seal_at_rest(self, token: str, binding: Binding) -> SealedToken:
        """Encrypt for keeping, bound to its row, under the current key."""
        key_id = self.current_key_id
        cipher = self._cipher(key_id)
        sealed = cipher.encrypt(token.encode(), binding.associated_data(key_id))
        return SealedToken(key_id, bytes(sealed))

    def open_at_rest(self, sealed: SealedToken, binding: Binding) -> str:
        """Open what `seal_at_rest` made for exactly this binding. Raises `UnreadableToken`."""
        cipher = self._cipher(sealed.key_id)
        try:
            return cipher.decrypt(sealed.box, binding.associated_data(sealed.key_id)).decode()
        except (CryptoError, UnicodeDecodeError, ValueError, TypeError):
            raise UnreadableToken("ciphertext_unreadable") from None

    def _key(self, key_id: str) -> PrivateKey:
        for key in self._ring.latest().keys:
            if key.key_id == key_id and key.private_key is not None:
                return PrivateKey(base64.b64decode(key.private_key))
        raise UnreadableToken("key_lost")

    def _cipher(self, key_id: str) -> Aead:
        private = self._key(key_id).encode()
        return Aead(hashlib.blake2b(private, digest_size=32, person=b"pc-token-at-rest").digest())
