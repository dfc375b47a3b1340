"""A token for two partners, validated at the same moment: one partner gets it."""

import asyncio
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from partner_connector.db.engine import Database
from partner_connector.db.models import Partner, Token, TokenValidation
from partner_connector.worker.context import WorkerContext
from partner_connector.worker.validation.outcome import store_verdict
from partner_connector.worker.validation.verdicts import PARTNER_CHECKS, Check
from tests.api import rows

TOKEN = "not-a-token-of-any-partner"
PASSED = [Check(name, "pass", "ok", "Seen.") for name in PARTNER_CHECKS]


async def hand_over(context: WorkerContext, partner: Partner) -> UUID:
    """Store a candidate and its queued validation, and return the id of the validation."""
    sealed = context.public_keyring.seal(TOKEN)
    token = rows.token(
        partner, state="candidate", sealed=sealed.box, sealed_as="sealed_box", key_id=sealed.key_id
    )
    validation_row = rows.validation(token, status="running", verdict=None)
    await rows.store(context.database, token)
    await rows.store(context.database, validation_row)
    return validation_row.id


async def store_passed_validation(context: WorkerContext, validation_id: UUID) -> None:
    """Store the verdict after every check has passed, in one transaction."""
    async with context.database.writing() as session:
        validation_row = await session.get_one(TokenValidation, validation_id, with_for_update=True)
        token = await session.get_one(Token, validation_row.token_id, with_for_update=True)
        await store_verdict(
            session,
            context.queue,
            context.keyring,
            context.recorder(validation_row.workspace_id, "val_test"),
            validation=validation_row,
            token=token,
            checks=PASSED,
            evidence=None,
            plaintext=TOKEN,
            fingerprint=context.public_keyring.fingerprint(TOKEN),
        )


async def test_same_token_connects_only_one_of_two_partners(
    context: WorkerContext, other_context: WorkerContext, database: Database, workspace_id: UUID
) -> None:
    """Roll the other validation back as a whole. Its next attempt finds the token in use."""
    integration = rows.integration(workspace_id)
    partners = [rows.partner(integration), rows.partner(integration)]
    await rows.store(database, integration, *partners)
    validation_ids = [await hand_over(context, partner) for partner in partners]

    ended = await asyncio.gather(
        *(
            store_passed_validation(*each)
            for each in zip((context, other_context), validation_ids, strict=True)
        ),
        return_exceptions=True,
    )

    assert sorted(type(one).__name__ for one in ended) == ["IntegrityError", "NoneType"]
    assert any(isinstance(one, IntegrityError) for one in ended)
    async with database.reading() as session:
        states = (await session.scalars(select(Token.state))).all()
        verdicts = (await session.scalars(select(TokenValidation.verdict))).all()
    assert sorted(states) == ["active", "candidate"]
    assert sorted(map(str, verdicts)) == ["None", "connectable"]
