"""Decryption of stored tokens. Only worker code uses it.

The plaintext goes to one function, which passes it to a Graph reader and drops it. Never put it
into an attribute, a job argument, a log line or an exception.
"""

import uuid

from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.models import Integration, Token
from partner_connector.features.integrations.health import record_own_token_health
from partner_connector.features.tokens.health import REPLACEMENT_REMEDY, reason, set_health
from partner_connector.graph import GraphReader
from partner_connector.sealing.private import Binding, PrivateKeyring, UnreadableToken
from partner_connector.sealing.public import SealedToken
from partner_connector.worker.backoff import Pause
from partner_connector.worker.context import WorkerContext


def owner_id(token: Token) -> uuid.UUID:
    """Return the id of the token's owner: a partner, or the integration for our own token."""
    return token.partner_id or token.integration_id


def binding(token: Token) -> Binding:
    """Return the values that the ciphertext of this row is bound to."""
    return Binding(token.workspace_id, owner_id(token), token.version)


def open_token(token: Token, keyring: PrivateKeyring) -> str:
    """Return the plaintext of the token. Raises `UnreadableToken`, also for a wiped token."""
    if token.sealed is None:
        raise UnreadableToken("wiped")
    sealed = SealedToken(token.key_id, token.sealed)
    if token.sealed_as == "sealed_box":
        return keyring.open_box(sealed)
    return keyring.open_at_rest(sealed, binding(token))


def opens(token: Token, keyring: PrivateKeyring) -> bool:
    """Return whether these keys can open the token."""
    try:
        open_token(token, keyring)
    except UnreadableToken:
        return False
    return True


def reseal(token: Token, keyring: PrivateKeyring) -> None:
    """Encrypt the token at rest with the current key; this also replaces a candidate's sealed box.

    Raises `UnreadableToken` and leaves the ciphertext unchanged if the token cannot be opened.
    """
    encrypt_at_rest(token, open_token(token, keyring), keyring)


def encrypt_at_rest(token: Token, plaintext: str, keyring: PrivateKeyring) -> None:
    """Replace the ciphertext with one that is bound to the row."""
    sealed = keyring.seal_at_rest(plaintext, binding(token))
    token.sealed = sealed.box
    token.sealed_as = "at_rest"
    token.key_id = sealed.key_id


def wipe(token: Token) -> None:
    """Delete the ciphertext. The facts about the token stay."""
    token.sealed = None
    token.state = "wiped"


_DETAILS = {
    "invalid": "Meta no longer accepts the token.",
    "unreadable": "The stored token cannot be decrypted with the keys of this deployment.",
}


class TokenMissing(Exception):
    """No active token is available. `pause` is set while a token is being validated."""

    def __init__(self, pause: Pause | None = None) -> None:
        super().__init__()
        self.pause = pause


def reader_for(context: WorkerContext, token: Token | None) -> GraphReader:
    """Return a reader for a stored token, whose plaintext exists only in this function.

    Raises `TokenMissing` and `UnreadableToken`.
    """
    if token is None:
        raise TokenMissing
    return context.graph.reader(
        open_token(token, context.keyring),
        account=str(token.id),
        app_id=token.app_id or "",
    )


async def restore_token_health(session: AsyncSession, used: Token | None) -> bool:
    """Set the health of a token that has just worked to `healthy`. Return whether it changed.

    Changes only an active token whose health is `invalid`, `expired` or `unreadable`.
    """
    token = await session.get(Token, used.id) if used is not None else None
    if (
        token is None
        or token.state != "active"
        or token.health not in {"invalid", "expired", "unreadable"}
    ):
        return False
    set_health(token, "healthy")
    return True


async def record_token_health(session: AsyncSession, used: Token | None, health: str) -> None:
    """Store that a token is dead or unreadable, at the first error that says so.

    The status of the token's owner follows from its health; for our own business's token, this
    also sets the integration's health. See `docs/reference/graph-facts.md#token-owner`.
    """
    token = await session.get(Token, used.id) if used is not None else None
    if token is None:
        return
    reasons = [reason(f"token_{health}", _DETAILS[health], REPLACEMENT_REMEDY)]
    if token.state == "active":
        set_health(token, health, reasons)
    if token.partner_id is None:
        integration = await session.get_one(Integration, token.integration_id)
        record_own_token_health(integration, health, reasons)
