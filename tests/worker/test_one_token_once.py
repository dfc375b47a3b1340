"""One token for two partners, proven at the same instant: one of them gets it."""

import asyncio
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from partner_connector.db.engine import Database
from partner_connector.db.models import Partner, Token, TokenValidation
from partner_connector.worker.context import Workshop
from partner_connector.worker.validation.outcome import conclude
from partner_connector.worker.validation.verdicts import PARTNER_CHECKS, Check
from tests.api import rows

TOKEN = "not-a-token-of-anybody-at-all"
PASSED = [Check(name, "pass", "ok", "Seen.") for name in PARTNER_CHECKS]


async def hand_over(shop: Workshop, partner: Partner) -> UUID:
    """A candidate, and the proof of it that was just asked for."""
    sealed = shop.public_keyring.seal(TOKEN)
    token = rows.token(
        partner, state="candidate", sealed=sealed.box, sealed_as="sealed_box", key_id=sealed.key_id
    )
    proof = rows.validation(token, status="running", verdict=None)
    await rows.store(shop.database, token)
    await rows.store(shop.database, proof)
    return proof.id


async def prove(shop: Workshop, proof_id: UUID) -> None:
    """What follows once every check has passed, in its one transaction."""
    async with shop.database.writing() as session:
        proof = await session.get_one(TokenValidation, proof_id, with_for_update=True)
        token = await session.get_one(Token, proof.token_id, with_for_update=True)
        await conclude(
            session,
            shop.queue,
            shop.keyring,
            shop.recorder(proof.workspace_id, "val_test"),
            validation=proof,
            token=token,
            checks=PASSED,
            evidence=None,
            plaintext=TOKEN,
            fingerprint=shop.public_keyring.fingerprint(TOKEN),
        )


async def test_one_of_two_gets_it(
    shop: Workshop, other_shop: Workshop, database: Database, workspace_id: UUID
) -> None:
    """The other proof is taken back whole, to be made anew: then it finds where the token is."""
    integration = rows.integration(workspace_id)
    partners = [rows.partner(integration), rows.partner(integration)]
    await rows.store(database, integration, *partners)
    proofs = [await hand_over(shop, partner) for partner in partners]

    ended = await asyncio.gather(
        *(prove(*each) for each in zip((shop, other_shop), proofs, strict=True)),
        return_exceptions=True,
    )

    assert sorted(type(one).__name__ for one in ended) == ["IntegrityError", "NoneType"]
    assert any(isinstance(one, IntegrityError) for one in ended)
    async with database.reading() as session:
        states = (await session.scalars(select(Token.state))).all()
        verdicts = (await session.scalars(select(TokenValidation.verdict))).all()
    assert sorted(states) == ["active", "candidate"]
    assert sorted(map(str, verdicts)) == ["None", "connectable"]
