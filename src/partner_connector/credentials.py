"""API keys and link codes: format, creation and verification; scopes and callers.

A key is `pck_<key id>_<secret><checksum>`; the code of a token request has the same form with the
prefix `trc`. The prefix lets scanners find leaked keys, the key id finds the row, the secret is 256
random bits, and the checksum refuses typing errors before a query. The database stores an HMAC of
the whole key: with 256 random bits, a slow hash would only add 100 ms to every request.
"""

import hashlib
import hmac
import secrets
import uuid
import zlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

PREFIX = "pck"
CODE_PREFIX = "trc"
_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_KEY_ID_LENGTH = 12
_SECRET_LENGTH = 43
_CHECKSUM_LENGTH = 6
# Has the form of a digest, but matches no key.
DUMMY_DIGEST = "0" * 64


class Scope(StrEnum):
    """Permissions of an API key. No scope allows to read a token, because no operation can."""

    INTEGRATIONS_READ = "integrations:read"
    INTEGRATIONS_WRITE = "integrations:write"
    PARTNERS_READ = "partners:read"
    PARTNERS_WRITE = "partners:write"
    TOKENS_WRITE = "tokens:write"
    SYNCS_READ = "syncs:read"
    SYNCS_RUN = "syncs:run"
    SYNCS_APPROVE = "syncs:approve"
    USERS_READ = "users:read"
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_WRITE = "webhooks:write"
    AUDIT_READ = "audit:read"
    KEYS_ADMIN = "keys:admin"


@dataclass(frozen=True, slots=True)
class Caller:
    """Caller of a request. All members come from its API key, none from the rest of the request."""

    workspace_id: uuid.UUID
    api_key_id: uuid.UUID
    scopes: frozenset[str]
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class MintedKey:
    """New key or code. `secret` is the complete key, to be shown once; `repr` hides it."""

    key_id: str
    secret: str
    digest: str

    def __repr__(self) -> str:
        return f"MintedKey({self.key_id}, ***)"


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_BASE62[digit])
    return "".join(reversed(digits))


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), _CHECKSUM_LENGTH)


def mint(pepper: bytes, prefix: str = PREFIX) -> MintedKey:
    """Return a new key with 256 random bits."""
    key_id = "".join(secrets.choice(_BASE62[:10] + _BASE62[36:]) for _ in range(_KEY_ID_LENGTH))
    body = f"{prefix}_{key_id}_{_base62(secrets.randbits(256), _SECRET_LENGTH)}"
    key = body + _checksum(body)
    return MintedKey(key_id, key, digest(key, pepper))


def digest(key: str, pepper: bytes) -> str:
    """Return the keyed hash of the key, which the database stores."""
    return hmac.new(pepper, key.encode(), hashlib.sha256).hexdigest()


def key_id_of(key: str, prefix: str = PREFIX) -> str | None:
    """Return the public id in a well-formed key, or None, in which case no query is needed."""
    parts = key.split("_")
    well_formed = (
        key.isascii()
        and len(parts) == 3  # noqa: PLR2004 - prefix, key id, secret with checksum
        and parts[0] == prefix
        and len(parts[1]) == _KEY_ID_LENGTH
        and len(parts[2]) == _SECRET_LENGTH + _CHECKSUM_LENGTH
    )
    if not well_formed or _checksum(key[:-_CHECKSUM_LENGTH]) != key[-_CHECKSUM_LENGTH:]:
        return None
    return parts[1]


def matches(key: str, stored_digest: str, pepper: bytes) -> bool:
    """Return whether the key has this digest. The comparison takes constant time."""
    return hmac.compare_digest(digest(key, pepper), stored_digest)
