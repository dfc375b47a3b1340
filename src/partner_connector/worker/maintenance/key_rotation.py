"""Re-sealing of all stored secrets with the current key after a key rotation.

Each token is re-sealed in its own transaction, while the service keeps running. The rows alone hold
the progress: a killed worker continues where it was, and two workers share the work. A token that
cannot be opened is never overwritten. Its health becomes `unreadable`, and recovers when the key is
available again.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Collection

import structlog
from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.locks import (
    lock_integration,
    lock_partner,
    lock_token,
    skip_locked_rows,
)
from partner_connector.db.models import Integration, Token, WebhookSecret
from partner_connector.features.integrations.health import record_own_token_health
from partner_connector.features.tokens.health import set_health
from partner_connector.features.tokens.health_changes import record_health_changes
from partner_connector.features.tokens.keys_in_use import sealed_under, sealed_under_none_of
from partner_connector.ids import encode
from partner_connector.sealing.private import UnreadableToken
from partner_connector.sealing.public import SealedToken
from partner_connector.worker import token_decryption
from partner_connector.worker.context import WorkerContext
from partner_connector.worker.token_decryption import record_token_health

POLL_SECONDS = 2.0
_BATCH_SIZE = 100
# Pause between two tokens, so that other writers to a SQLite file get their turn.
_PAUSE_SECONDS = 0.005

log = structlog.get_logger()


class Resealer:
    """Periodic re-sealing: at the start of the worker, and then every `POLL_SECONDS`."""

    def __init__(self, context: WorkerContext) -> None:
        self.context = context

    async def poll(self) -> None:
        """Re-seal secrets under older keys. Update the health of tokens that cannot be opened."""
        keys, current = self.context.keyring.key_ids, self.context.keyring.current_key_id
        if resealed := await self._reseal_secrets(keys - {current}):
            log.info("webhook_secrets_resealed", key_id=current, secrets=resealed)
        is_unreadable = Token.health == "unreadable"
        if resealed := await self._reseal_all(sealed_under(keys - {current}) & ~is_unreadable):
            log.info("tokens_resealed", key_id=current, tokens=resealed)
        lost = sealed_under_none_of(keys) & ~is_unreadable
        maybe_recovered = sealed_under(keys) & is_unreadable
        async for token_id in self._tokens(_is_active() & or_(lost, maybe_recovered)):
            await self._update_health(token_id)

    async def _reseal_all(self, older: ColumnElement[bool]) -> int:
        resealed = 0
        async for token_id in self._tokens(older):
            try:
                resealed += await self._reseal(token_id, older)
            except UnreadableToken:
                await self._update_health(token_id)
        return resealed

    async def _reseal_secrets(self, older: Collection[str]) -> int:
        """Re-seal the signing secrets of webhooks, a batch at a time. Return how many."""
        query = select(WebhookSecret).where(WebhookSecret.key_id.in_(older)).limit(_BATCH_SIZE)
        async with self.context.database.reading() as session:
            if await session.scalar(query.with_only_columns(WebhookSecret.id)) is None:
                return 0
        async with self.context.database.writing() as session:
            secrets = (await session.scalars(skip_locked_rows(query))).all()
            resealed = [secret for secret in secrets if self._reseal_secret(secret)]
        return len(resealed)

    def _reseal_secret(self, secret: WebhookSecret) -> bool:
        try:
            opened = self.context.keyring.open_box(SealedToken(secret.key_id, secret.sealed))
        except UnreadableToken:
            # Its deliveries report `secret_unreadable`.
            return False
        sealed = self.context.public_keyring.seal(opened)
        secret.sealed, secret.key_id = sealed.box, sealed.key_id
        return True

    async def _tokens(self, which: ColumnElement[bool]) -> AsyncIterator[uuid.UUID]:
        """Yield the ids of matching tokens in order, each once, even if rows change meanwhile."""
        query = select(Token.id).where(which).order_by(Token.id).limit(_BATCH_SIZE)
        async with self.context.database.reading() as session:
            page = (await session.scalars(query)).all()
        while page:
            for token_id in page:
                yield token_id
                await asyncio.sleep(_PAUSE_SECONDS)
            async with self.context.database.reading() as session:
                page = (await session.scalars(query.where(Token.id > page[-1]))).all()

    async def _reseal(self, token_id: uuid.UUID, still: ColumnElement[bool]) -> bool:
        """Re-seal one token. Return whether it was re-sealed.

        A token that another transaction has locked is skipped. Raises `UnreadableToken` without a
        change if the token cannot be opened.
        """
        async with self.context.database.writing() as session:
            token = await lock_token(session, token_id, still, skip_locked=True)
            if token is None:
                return False
            token_decryption.reseal(token, self.context.keyring)
        return True

    async def _update_health(self, token_id: uuid.UUID) -> None:
        """Store whether this active token can be opened."""
        async with self.context.database.writing() as session:
            token = await _active_with_owner_locked(session, token_id)
            if token is None:
                return
            audit = self.context.recorder(token.workspace_id, encode("tok", token.id))
            async with record_health_changes(session, audit, token.id):
                await self._set_health(session, token)

    async def _set_health(self, session: AsyncSession, token: Token) -> None:
        can_be_opened = token_decryption.opens(token, self.context.keyring)
        if can_be_opened and token.health == "unreadable":
            # The result of the last validation was overwritten; the next check sets the health.
            set_health(token, "unknown")
            if token.partner_id is None:
                integration = await session.get_one(Integration, token.integration_id)
                record_own_token_health(integration, token.health, [])
            log.info("token_readable_again", token_id=str(token.id))
        elif not can_be_opened and token.health != "unreadable":
            await record_token_health(session, token, "unreadable")
            log.error("token_unreadable", token_id=str(token.id), key_id=token.key_id)


def _is_active() -> ColumnElement[bool]:
    return Token.state == "active"


async def _active_with_owner_locked(session: AsyncSession, token_id: uuid.UUID) -> Token | None:
    """Return the token if it is still active. Lock its owner's row first, as hand-overs do."""
    token = await session.get(Token, token_id)
    if token is None:
        return None
    if token.partner_id is not None:
        await lock_partner(session, token.partner_id)
    else:
        await lock_integration(session, token.integration_id)
    return await session.scalar(
        select(Token)
        .where(Token.id == token_id, _is_active())
        .execution_options(populate_existing=True)
    )
