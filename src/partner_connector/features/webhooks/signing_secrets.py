"""The secrets that messages are signed with. The API makes and seals them, and forgets them."""

import base64
import secrets
import uuid
from datetime import timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.clock import now
from partner_connector.db.models import WebhookEndpoint, WebhookSecret
from partner_connector.sealing.public import PublicKeyring

# The one before signs as well for so long, so that receivers can follow.
BOTH_SIGN_FOR = timedelta(hours=24)
_PREFIX = "whsec_"
_BYTES = 32


async def renew(session: AsyncSession, keyring: PublicKeyring, endpoint: WebhookEndpoint) -> str:
    """A new secret for a locked endpoint. The one before it, if there is one, gets its end."""
    await session.execute(
        delete(WebhookSecret).where(
            WebhookSecret.endpoint_id == endpoint.id, WebhookSecret.expires_at.is_not(None)
        )
    )
    present = await session.scalar(
        select(WebhookSecret).where(WebhookSecret.endpoint_id == endpoint.id)
    )
    if present is not None:
        present.expires_at = now() + BOTH_SIGN_FOR
    secret = _PREFIX + base64.b64encode(secrets.token_bytes(_BYTES)).decode()
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


async def signing_now(session: AsyncSession, endpoint_id: uuid.UUID) -> list[WebhookSecret]:
    """The present secret, and the one before it while it still signs."""
    query = select(WebhookSecret).where(WebhookSecret.endpoint_id == endpoint_id)
    rows = await session.scalars(query.order_by(WebhookSecret.id.desc()))
    return [row for row in rows if row.expires_at is None or row.expires_at > now()]


async def secrets_by_key(session: AsyncSession) -> dict[str, int]:
    """How many signing secrets there are under each key."""
    query = select(WebhookSecret.key_id, func.count().label("secrets"))
    counted = (await session.execute(query.group_by(WebhookSecret.key_id))).all()
    return {row.key_id: row.secrets for row in counted}
