"""A daily token check during a check for updates: the sync job does not overwrite its result."""

import asyncio
from typing import Any

import pytest

from partner_connector.db.engine import Database
from partner_connector.db.models import Partner, SyncJob, Token
from partner_connector.worker.context import WorkerContext
from partner_connector.worker.sync import partner_steps, progress
from partner_connector.worker.sync.apply import capability
from partner_connector.worker.sync.target import load_target
from tests.sync.checks import make_partner

NARROWED: dict[str, Any] = {"code": "view_narrowed", "detail": "x", "remedy": None}
REFUSED: dict[str, Any] = {"code": "scopes_missing", "detail": "x", "remedy": None}


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_validation_result_during_sync_is_kept(
    context: WorkerContext, database: Database
) -> None:
    """Remove the narrowing, which the sync job found to be over, and keep the reason that the
    validation stored meanwhile.
    """
    partner = await make_partner(database)
    await partner.add_token(scopes=[], health="insufficient", health_reasons=[NARROWED])
    async with database.writing() as session:
        job = SyncJob(
            workspace_id=partner.workspace_id,
            integration_id=partner.integration_id,
            partner_id=partner.partner_id,
            task="sync_partner",
            trigger="api",
        )
        session.add(job)
    async with database.writing() as session:
        begun = await progress.begin(session, job.id, 1)
        assert begun is not None
        await capability.store_scopes(session, begun, [], {})
        target = await load_target(session, begun)
    async with database.writing() as session:
        await session.get(Partner, partner.partner_id, with_for_update=True)
        token = await session.get_one(Token, partner.token_id, with_for_update=True)
        applying = asyncio.create_task(partner_steps.apply(context, target, 1))
        await asyncio.sleep(1)
        token.health_reasons = [REFUSED, NARROWED]
    await applying
    async with database.reading() as session:
        token = await session.get_one(Token, partner.token_id)
        job = await session.get_one(SyncJob, job.id)
    assert job.status == "completed"
    assert (token.health, token.health_reasons) == ("insufficient", [REFUSED])
