"""Tokens in a database that can be decrypted: of our own business and of many partners."""

import uuid
from collections.abc import Collection

from sqlalchemy import select

from partner_connector.db.engine import Database
from partner_connector.db.models import Base, Token, Workspace
from partner_connector.ids import new_id
from partner_connector.sealing.keyring import KeyringSource
from partner_connector.sealing.private import Binding, PrivateKeyring, UnreadableToken
from partner_connector.sealing.public import PublicKeyring
from partner_connector.worker import token_decryption
from tests.api import rows

# One partner in five has a second version: a candidate, not validated yet, in its sealed box.
_PARTNERS_PER_CANDIDATE = 5

Plaintexts = dict[uuid.UUID, str]


async def store_tokens(database: Database, ring: KeyringSource, partners: int) -> Plaintexts:
    """Store our own business's token, one of each partner and some candidates.

    Return the plaintexts by the ids of the rows.
    """
    workspace = Workspace(id=new_id(), name="Test")
    integration = rows.integration(workspace.id)
    made: list[Base] = [workspace, integration]
    plaintexts: Plaintexts = {}
    for number in range(partners + 1):
        partner = rows.partner(integration)
        is_own = number == 0
        active = rows.token(partner, partner_id=None if is_own else partner.id)
        plaintexts[active.id] = f"token-{number:05}-{active.id.hex}"
        sealed = PrivateKeyring(ring).seal_at_rest(
            plaintexts[active.id],
            Binding(workspace.id, token_decryption.owner_id(active), active.version),
        )
        active.sealed, active.key_id = sealed.box, sealed.key_id
        made += [partner, active]
        if number % _PARTNERS_PER_CANDIDATE == 1:
            made.append(candidate := candidate_of(active, ring))
            plaintexts[candidate.id] = f"candidate-{active.id.hex}"
    await rows.store(database, *made)
    return plaintexts


def candidate_of(active: Token, ring: KeyringSource) -> Token:
    """Return the next version of a token, in a sealed box as the API stores it."""
    box = PublicKeyring(ring).seal(f"candidate-{active.id.hex}")
    return Token(
        id=new_id(),
        workspace_id=active.workspace_id,
        integration_id=active.integration_id,
        partner_id=active.partner_id,
        version=active.version + 1,
        sealed=box.box,
        key_id=box.key_id,
    )


async def opened(
    database: Database, ring: KeyringSource, *, but: Collection[uuid.UUID] = ()
) -> dict[uuid.UUID, tuple[str, str]]:
    """Return the sealing key's id and the plaintext of every stored token not in `but`."""
    keyring = PrivateKeyring(ring)
    async with database.reading() as session:
        tokens = await session.scalars(select(Token).where(Token.sealed.is_not(None)))
        return {
            token.id: (token.key_id, in_clear(token, keyring))
            for token in tokens
            if token.id not in but
        }


def in_clear(token: Token, keyring: PrivateKeyring) -> str:
    """Return the decrypted token, or the reason why it cannot be decrypted."""
    try:
        return token_decryption.open_token(token, keyring)
    except UnreadableToken as error:
        return f"unreadable: {error.code}"
