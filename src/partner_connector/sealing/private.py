"""The private half of the keyring, which opens tokens. Only worker hosts have it.

Only worker code imports this module. At rest a token is encrypted with XChaCha20-Poly1305 and bound
to its workspace, owner, version and key id: a ciphertext that is copied to another row does not
open there. The encryption key is derived from the private sealing key, so a rotation renews both
layers, and a lost keyring loses both.
"""

import base64
import hashlib
import uuid
from dataclasses import dataclass

from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, SealedBox
from nacl.secret import Aead

from partner_connector.sealing.keyring import KeyringError, KeyringSource
from partner_connector.sealing.public import SealedToken


class UnreadableToken(Exception):
    """A token whose key is lost, or whose ciphertext was changed or moved.

    `code` says which. The error holds nothing of the token.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Binding:
    """Row to which a ciphertext at rest belongs. `owner_id` is a partner or an integration."""

    workspace_id: uuid.UUID
    owner_id: uuid.UUID
    version: int

    def associated_data(self, key_id: str) -> bytes:
        """Return the bytes that are authenticated with the ciphertext, but not stored in it."""
        parts = ("v1", self.workspace_id.hex, self.owner_id.hex, str(self.version), key_id)
        return "|".join(parts).encode()


class PrivateKeyring:
    """The private keys of a keyring, as it is now. `repr` shows ids only."""

    def __init__(self, ring: KeyringSource) -> None:
        """Raise `KeyringError` for a keyring without private keys."""
        if not ring.latest().holds_private_keys:
            raise KeyringError(
                "a worker needs the full keyring, but this file has public keys only"
            )
        self._ring = ring

    def __repr__(self) -> str:
        return f"PrivateKeyring({sorted(self.key_ids)})"

    @property
    def key_ids(self) -> frozenset[str]:
        """Ids of the keys that open tokens."""
        return frozenset(key.key_id for key in self._ring.latest().keys)

    @property
    def current_key_id(self) -> str:
        """Id of the key with which new tokens are sealed."""
        return self._ring.latest().current.key_id

    def open_box(self, sealed: SealedToken) -> str:
        """Open a sealed box. Raise `UnreadableToken`."""
        try:
            return SealedBox(self._key(sealed.key_id)).decrypt(sealed.box).decode()
        except (CryptoError, UnicodeDecodeError, ValueError, TypeError):
            raise UnreadableToken("sealed_box_unreadable") from None

    def seal_at_rest(self, token: str, binding: Binding) -> SealedToken:
        """Encrypt a token at rest with the current key, bound to its row."""
        key_id = self.current_key_id
        cipher = self._cipher(key_id)
        sealed = cipher.encrypt(token.encode(), binding.associated_data(key_id))
        return SealedToken(key_id, bytes(sealed))

    def open_at_rest(self, sealed: SealedToken, binding: Binding) -> str:
        """Decrypt a token from `seal_at_rest` with its binding. Raise `UnreadableToken`."""
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
