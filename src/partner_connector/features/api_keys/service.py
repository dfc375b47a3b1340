"""Making and revoking keys."""

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
    """A key that could never be used: what is asked for was sound until then."""

    code = "expiry_in_the_past"
    title = "The expiry lies in the past"
    description = "`expires_at` must be a time to come, or be left out for a lasting key."


class ExpiryBeyondCaller(Unprocessable):
    """A key that expires could otherwise live on through the keys it makes."""

    code = "expiry_beyond_caller"
    title = "The key would outlive the one that makes it"
    description = "`expires_at` must not be later than the calling key's own expiry."


class ScopeNotHeld(ScopeMissing):
    """A key may hand on what it holds and no more."""

    code = "scope_not_held"
    title = "A key cannot grant more than it holds"
    description = "Ask for scopes that the calling key has itself."


async def create(
    session: AsyncSession,
    audit: Recorder,
    *,
    name: str,
    scopes: Collection[str],
    expires_at: datetime | None,
    pepper: bytes,
) -> tuple[ApiKey, str]:
    """A new key and its secret, which is nowhere afterwards. Raises `ExpiryInThePast`."""
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
    told = {
        "name": name,
        "scopes": key.scopes,
        "expires_at": expires_at.isoformat() if expires_at else None,
    }
    await audit.record(
        session, action="api_key.created", subject=encode("key", key.id), details=told
    )
    return key, minted.secret


def require_held(caller: Caller, scopes: Collection[str], expires_at: datetime | None) -> None:
    """Raise `ScopeNotHeld` or `ExpiryBeyondCaller`: no key gets more than its maker has."""
    if not caller.scopes.issuperset(scopes):
        raise ScopeNotHeld
    if caller.expires_at is not None and (expires_at is None or expires_at > caller.expires_at):
        raise ExpiryBeyondCaller


async def revoke(session: AsyncSession, audit: Recorder, key: ApiKey) -> None:
    """From the next request on the key, whose row is locked, is refused. Twice is fine."""
    if key.revoked_at is None:
        key.revoked_at = now()
        subject = encode("key", key.id)
        await audit.record(session, action="api_key.revoked", subject=subject, details={})
