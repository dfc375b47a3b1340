"""Tokens in a database that really open: a business of our own and many partners."""

import uuid
from collections.abc import Collection

from sqlalchemy import select

from partner_connector.db.engine import Database
from partner_connector.db.models import Base, Token, Workspace
from partner_connector.ids import new_id
from partner_connector.sealing.keyring import Ring
from partner_connector.sealing.private import Binding, PrivateKeyring, UnreadableToken
from partner_connector.sealing.public import PublicKeyring
from partner_connector.worker import token_decryption
from tests.api import rows

# Each partner's second version, as yet unproven, is in its sealed box.
ONE_CANDIDATE_IN = 5

Plaintexts = dict[uuid.UUID, str]


async def store_tokens(database: Database, ring: Ring, partners: int) -> Plaintexts:
    """Our own token, one of each partner and some candidates, by their row's id."""
    workspace = Workspace(id=new_id(), name="Test")
    ours = rows.integration(workspace.id)
    made: list[Base] = [workspace, ours]
    plaintexts: Plaintexts = {}
    for number in range(partners + 1):
        partner = rows.partner(ours)
        is_host = number == 0
        active = rows.token(partner, partner_id=None if is_host else partner.id)
        plaintexts[active.id] = f"token-{number:05}-{active.id.hex}"
        sealed = PrivateKeyring(ring).seal_at_rest(
            plaintexts[active.id],
            Binding(workspace.id, token_decryption.owner_id(active), active.version),
        )
        active.sealed, active.key_id = sealed.box, sealed.key_id
        made += [partner, active]
        if number % ONE_CANDIDATE_IN == 1:
            made.append(candidate := candidate_of(active, ring))
            plaintexts[candidate.id] = f"candidate-{active.id.hex}"
    await rows.store(database, *made)
    return plaintexts


def candidate_of(active: Token, ring: Ring) -> Token:
    """The next version of that token, in the box in which the API keeps it."""
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
    database: Database, ring: Ring, *, but: Collection[uuid.UUID] = ()
) -> dict[uuid.UUID, tuple[str, str]]:
    """Every stored token but these: the key that it is sealed under, and what it is in clear."""
    keyring = PrivateKeyring(ring)
    async with database.reading() as session:
        tokens = await session.scalars(select(Token).where(Token.sealed.is_not(None)))
        return {
            token.id: (token.key_id, in_clear(token, keyring))
            for token in tokens
            if token.id not in but
        }


def in_clear(token: Token, keyring: PrivateKeyring) -> str:
    """The token, or why it cannot be opened."""
    try:
        return token_decryption.open_token(token, keyring)
    except UnreadableToken as error:
        return f"unreadable: {error.code}"
