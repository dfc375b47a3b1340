"""Opening a stored token. Worker code only.

The plaintext is returned to one function, which hands it to a Graph reader and lets it go; it is
never put into an attribute, a job argument, a log line or an exception.
"""

import uuid

from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.models import Integration, Token
from partner_connector.features.integrations.health import note_own_token
from partner_connector.features.tokens.health import REPLACE_IT, reason, set_health
from partner_connector.graph import GraphReader
from partner_connector.sealing.private import Binding, PrivateKeyring, UnreadableToken
from partner_connector.sealing.public import SealedToken
from partner_connector.worker.backoff import Pause
from partner_connector.worker.context import Workshop


def owner_id(token: Token) -> uuid.UUID:
    """Whose token it is: the partner's, or our own integration's."""
    return token.partner_id or token.integration_id


def binding(token: Token) -> Binding:
    """What the ciphertext of this row is bound to."""
    return Binding(token.workspace_id, owner_id(token), token.version)


def open_token(token: Token, keyring: PrivateKeyring) -> str:
    """The token in clear. Raises `UnreadableToken`, also for one that was wiped."""
    if token.sealed is None:
        raise UnreadableToken("wiped")
    sealed = SealedToken(token.key_id, token.sealed)
    if token.sealed_as == "sealed_box":
        return keyring.open_box(sealed)
    return keyring.open_at_rest(sealed, binding(token))


def opens(token: Token, keyring: PrivateKeyring) -> bool:
    """Whether the token can be opened with these keys."""
    try:
        open_token(token, keyring)
    except UnreadableToken:
        return False
    return True


def reseal(token: Token, keyring: PrivateKeyring) -> None:
    """Bring the token under the current key, a candidate's box too: bound to its row from then on.

    Raises `UnreadableToken`, and then leaves the ciphertext as it is.
    """
    keep_at_rest(token, open_token(token, keyring), keyring)


def keep_at_rest(token: Token, plaintext: str, keyring: PrivateKeyring) -> None:
    """Replace the inbound box by encryption that is bound to the row."""
    sealed = keyring.seal_at_rest(plaintext, binding(token))
    token.sealed = sealed.box
    token.sealed_as = "at_rest"
    token.key_id = sealed.key_id


def wipe(token: Token) -> None:
    """Forget the ciphertext; the facts about the token stay."""
    token.sealed = None
    token.state = "wiped"


_SEEN = {
    "invalid": "Meta no longer accepts the token.",
    "unreadable": "The stored token cannot be opened with the keys of this deployment.",
}


class TokenMissing(Exception):
    """There is no active token to read with. `pause` where one is just being proven."""

    def __init__(self, pause: Pause | None = None) -> None:
        super().__init__()
        self.pause = pause


def reader_for(shop: Workshop, token: Token | None) -> GraphReader:
    """A reader for a stored token, which is in clear in this function only.

    Raises `TokenMissing` and `UnreadableToken`.
    """
    if token is None:
        raise TokenMissing
    return shop.graph.reader(
        open_token(token, shop.keyring),
        account=str(token.id),
        app_id=token.app_id or "",
    )


async def note_token_works(session: AsyncSession, used: Token | None) -> bool:
    """A check that got through with a token once found dead: it was not, or lives again."""
    token = await session.get(Token, used.id) if used is not None else None
    if (
        token is None
        or token.state != "active"
        or token.health not in {"invalid", "expired", "unreadable"}
    ):
        return False
    set_health(token, "healthy")
    return True


async def note_token_health(session: AsyncSession, used: Token | None, health: str) -> None:
    """Meta's word on a token counts at once (REFERENCE 4.2): the status follows from it."""
    token = await session.get(Token, used.id) if used is not None else None
    if token is None:
        return
    reasons = [reason(f"token_{health}", _SEEN[health], REPLACE_IT)]
    if token.state == "active":
        set_health(token, health, reasons)
    if token.partner_id is None:
        integration = await session.get_one(Integration, token.integration_id)
        note_own_token(integration, health, reasons)
