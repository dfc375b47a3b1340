"""Creation and revocation of API keys."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector import credentials
from partner_connector.clock import now
from partner_connector.credentials import Caller
from partner_connector.db.models import ApiKey
from partner_connector.errors import Conflict, ScopeMissing, Unprocessable
from partner_connector.features.api_keys.repository import ApiKeyRepository
from partner_connector.features.audit.service import Recorder
from partner_connector.ids import encode


class ExpiryInThePast(Conflict):
    """`expires_at` of the new API key is in the past, so the key could never be used."""

    code = "expiry_in_the_past"
    title = "The expiry is in the past"
    description = "Send a future time, or leave `expires_at` out for a key that does not expire."


class ExpiryBeyondCaller(Unprocessable):
    """The calling API key expires, and the new key would expire later or never. Otherwise a key
    could outlive its expiry through the keys that it creates.
    """

    code = "expiry_beyond_caller"
    title = "The new key would outlive the calling key"
    description = "Send an `expires_at` that is not later than the expiry of the calling key."


class ScopeNotHeld(ScopeMissing):
    """The new API key would get a scope that the calling key does not have."""

    code = "scope_not_held"
    title = "A key cannot grant more than it holds"
    description = (
        "Request only scopes that the calling key has, or call with a key that has all of them."
    )


async def create(
    session: AsyncSession,
    audit: Recorder,
    *,
    name: str,
    scopes: Collection[str],
    expires_at: datetime | None,
    pepper: bytes,
) -> tuple[ApiKey, str]:
    """Create a key. Return its row and its secret, which is not stored.

    Raises `ExpiryInThePast`.
    """
    if expires_at is not None and expires_at <= now():
        raise ExpiryInThePast
    minted = credentials.mint(pepper)
    key = ApiKey(
        workspace_id=audit.workspace_id,
        name=name,
        key_id=minted.key_id,
        digest=minted.digest,
        scopes=sorted(set(scopes)),
        expires_at=expires_at,
    )
    await ApiKeyRepository(session, audit.workspace_id).add(key)
    details = {
        "name": name,
        "scopes": key.scopes,
        "expires_at": expires_at.isoformat() if expires_at else None,
    }
    await audit.record(
        session, action="api_key.created", subject=encode("key", key.id), details=details
    )
    return key, minted.secret


def require_held(caller: Caller, scopes: Collection[str], expires_at: datetime | None) -> None:
    """Raise `ScopeNotHeld` or `ExpiryBeyondCaller` if the new key would exceed the caller."""
    if not caller.scopes.issuperset(scopes):
        raise ScopeNotHeld
    if caller.expires_at is not None and (expires_at is None or expires_at > caller.expires_at):
        raise ExpiryBeyondCaller


async def revoke(session: AsyncSession, audit: Recorder, key: ApiKey) -> None:
    """Revoke the key, whose row the caller has locked. Do nothing if it is revoked already."""
    if key.revoked_at is None:
        key.revoked_at = now()
        subject = encode("key", key.id)
        await audit.record(session, action="api_key.revoked", subject=subject, details={})
