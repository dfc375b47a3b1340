"""Brings every stored token under the current key, while everything else goes on.

After a rotation the tokens are sealed anew, each in a transaction of its own. How far this has come
is in the rows and nowhere else: killed at any moment, it goes on where it was, and two workers at
once share the work. A token that cannot be opened is never written over; that it is unreadable is
told by its health, which recovers when the key is there again.
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
    only_free,
)
from partner_connector.db.models import Integration, Token, WebhookSecret
from partner_connector.features.integrations.health import note_own_token
from partner_connector.features.tokens.health import set_health
from partner_connector.features.tokens.health_changes import telling_health_changes
from partner_connector.features.tokens.keys_in_use import sealed_under, sealed_under_none_of
from partner_connector.ids import encode
from partner_connector.sealing.private import UnreadableToken
from partner_connector.sealing.public import SealedToken
from partner_connector.worker import token_decryption
from partner_connector.worker.context import Workshop
from partner_connector.worker.token_decryption import note_token_health

LOOK_SECONDS = 2.0
_AT_A_TIME = 100
# Between two tokens, so that others who write to a SQLite file get their turn.
_REST_SECONDS = 0.005

log = structlog.get_logger()


class Resealer:
    """Looks when the worker starts, and then every few seconds."""

    def __init__(self, shop: Workshop) -> None:
        self.shop = shop

    async def look(self) -> None:
        """Seal anew what is under an older key, and tell which tokens cannot be opened."""
        keys, current = self.shop.keyring.key_ids, self.shop.keyring.current_key_id
        if resealed := await self._reseal_secrets(keys - {current}):
            log.info("webhook_secrets_resealed", key_id=current, secrets=resealed)
        is_told = Token.health == "unreadable"
        if resealed := await self._reseal_all(sealed_under(keys - {current}) & ~is_told):
            log.info("tokens_resealed", key_id=current, tokens=resealed)
        lost, perhaps_found = sealed_under_none_of(keys) & ~is_told, sealed_under(keys) & is_told
        async for token_id in self._tokens(_is_active() & or_(lost, perhaps_found)):
            await self._note_health(token_id)

    async def _reseal_all(self, older: ColumnElement[bool]) -> int:
        resealed = 0
        async for token_id in self._tokens(older):
            try:
                resealed += await self._reseal(token_id, older)
            except UnreadableToken:
                await self._note_health(token_id)
        return resealed

    async def _reseal_secrets(self, older: Collection[str]) -> int:
        """Signing secrets of webhooks, as sealed boxes again. They are few."""
        query = select(WebhookSecret).where(WebhookSecret.key_id.in_(older)).limit(_AT_A_TIME)
        async with self.shop.database.reading() as session:
            if await session.scalar(query.with_only_columns(WebhookSecret.id)) is None:
                return 0
        async with self.shop.database.writing() as session:
            secrets = (await session.scalars(only_free(query))).all()
            resealed = [secret for secret in secrets if self._reseal_secret(secret)]
        return len(resealed)

    def _reseal_secret(self, secret: WebhookSecret) -> bool:
        try:
            opened = self.shop.keyring.open_box(SealedToken(secret.key_id, secret.sealed))
        except UnreadableToken:
            # Its deliveries tell so.
            return False
        sealed = self.shop.public_keyring.seal(opened)
        secret.sealed, secret.key_id = sealed.box, sealed.key_id
        return True

    async def _tokens(self, which: ColumnElement[bool]) -> AsyncIterator[uuid.UUID]:
        """Ids of tokens in their order, each once, whatever is done with them meanwhile."""
        query = select(Token.id).where(which).order_by(Token.id).limit(_AT_A_TIME)
        async with self.shop.database.reading() as session:
            page = (await session.scalars(query)).all()
        while page:
            for token_id in page:
                yield token_id
                await asyncio.sleep(_REST_SECONDS)
            async with self.shop.database.reading() as session:
                page = (await session.scalars(query.where(Token.id > page[-1]))).all()

    async def _reseal(self, token_id: uuid.UUID, still: ColumnElement[bool]) -> bool:
        """Whether this token came under the current key.

        One that somebody else is at, to replace it or to seal it anew as well, is left to them.
        Raises `UnreadableToken`, and then has changed nothing.
        """
        async with self.shop.database.writing() as session:
            token = await lock_token(session, token_id, still, skip_locked=True)
            if token is None:
                return False
            token_decryption.reseal(token, self.shop.keyring)
        return True

    async def _note_health(self, token_id: uuid.UUID) -> None:
        """That this active token cannot be opened here, or that it can be again."""
        async with self.shop.database.writing() as session:
            token = await _active_with_owner_locked(session, token_id)
            if token is None:
                return
            audit = self.shop.recorder(token.workspace_id, encode("tok", token.id))
            async with telling_health_changes(session, audit, token.id):
                await self._settle_health(session, token)

    async def _settle_health(self, session: AsyncSession, token: Token) -> None:
        can_be_opened = token_decryption.opens(token, self.shop.keyring)
        if can_be_opened and token.health == "unreadable":
            # What the last proof said was overwritten; the next check will tell.
            set_health(token, "unknown")
            if token.partner_id is None:
                integration = await session.get_one(Integration, token.integration_id)
                note_own_token(integration, token.health, [])
            log.info("token_readable_again", token_id=str(token.id))
        elif not can_be_opened and token.health != "unreadable":
            await note_token_health(session, token, "unreadable")
            log.error("token_unreadable", token_id=str(token.id), key_id=token.key_id)


def _is_active() -> ColumnElement[bool]:
    return Token.state == "active"


async def _active_with_owner_locked(session: AsyncSession, token_id: uuid.UUID) -> Token | None:
    """The token, unless it was just replaced: hand-overs lock the owner's row first, too."""
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
