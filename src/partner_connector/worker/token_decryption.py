"""Opening a stored token. Worker code only.

The plaintext is returned to one function, which hands it to a Graph reader and lets it go; it is
never put into an attribute, a job argument, a log line or an exception.
"""

import uuid

from partner_connector.db.models import Token
from partner_connector.sealing.private import Binding, PrivateKeyring, UnreadableToken
from partner_connector.sealing.public import SealedToken


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
