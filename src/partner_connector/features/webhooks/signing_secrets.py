"""Signing secrets of webhook endpoints. The API creates and seals them, workers decrypt them."""

import base64
import secrets
import uuid
from datetime import timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.clock import now
from partner_connector.db.models import WebhookEndpoint, WebhookSecret
from partner_connector.sealing.public import PublicKeyring

# Time for which the previous secret signs too, so that receivers can change to the new secret.
OVERLAP = timedelta(hours=24)
_PREFIX = "whsec_"
_SECRET_BYTES = 32


async def create_signing_secret(
    session: AsyncSession, keyring: PublicKeyring, endpoint: WebhookEndpoint
) -> str:
    """Create and return a secret for a locked endpoint.

    The current secret signs for `OVERLAP` more. A secret before it is deleted.
    """
    await session.execute(
        delete(WebhookSecret).where(
            WebhookSecret.endpoint_id == endpoint.id, WebhookSecret.expires_at.is_not(None)
        )
    )
    current = await session.scalar(
        select(WebhookSecret).where(WebhookSecret.endpoint_id == endpoint.id)
    )
    if current is not None:
        current.expires_at = now() + OVERLAP
    secret = _PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()
    sealed = keyring.seal(secret)
    session.add(
        WebhookSecret(
            workspace_id=endpoint.workspace_id,
            endpoint_id=endpoint.id,
            sealed=sealed.box,
            key_id=sealed.key_id,
        )
    )
    await session.flush()
    return secret


async def valid_signing_secrets(
    session: AsyncSession, endpoint_id: uuid.UUID
) -> list[WebhookSecret]:
    """Return the current secret, then the previous secret while it still signs."""
    query = select(WebhookSecret).where(WebhookSecret.endpoint_id == endpoint_id)
    rows = await session.scalars(query.order_by(WebhookSecret.id.desc()))
    return [row for row in rows if row.expires_at is None or row.expires_at > now()]


async def secrets_by_key(session: AsyncSession) -> dict[str, int]:
    """Count the signing secrets under each sealing key."""
    query = select(WebhookSecret.key_id, func.count().label("secrets"))
    counted = (await session.execute(query.group_by(WebhookSecret.key_id))).all()
    return {row.key_id: row.secrets for row in counted}
