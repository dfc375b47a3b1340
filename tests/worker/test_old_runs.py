"""The engine's record of runs: what has ended and is old goes, and nothing that goes on."""

import asyncio
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from sqlalchemy import text

from partner_connector.clock import now
from partner_connector.db.engine import Database
from partner_connector.durable import tasks
from partner_connector.worker.context import Workshop
from tests.api import rows
from tests.support.processes import api_process, run_cli

WITHIN_SECONDS = 20
# A minute and a half; it is looked for every few seconds then.
RETENTION_DAYS = "0.001"
# Those of the engine's tables that hold rows of a run.
TABLES = ("workflow_status", "workflow_input", "workflow_output", "operation_outputs")


async def enqueue(shop: Workshop, workspace_id: UUID, *, days: int) -> str:
    """A check of a partner without a token, to begin in so many days. Answers the run's id."""
    integration = rows.integration(workspace_id)
    partner = rows.partner(integration)
    job = rows.sync_job(partner, status="queued")
    await rows.store(shop.database, integration, partner, job)
    to_do = tasks.sync(job.task, job.id, partner.id, not_before=now() + timedelta(days=days))
    async with shop.database.writing() as session:
        await shop.queue.enqueue(session, to_do)
    return to_do.run_id


async def runs_in(database: Database, table: str, condition: str = "true") -> set[str]:
    """The runs that have rows there."""
    query = text(f"SELECT workflow_uuid FROM {of_engine(database, table)} WHERE {condition}")  # noqa: S608
    async with database.reading() as session:
        return set(await session.scalars(query))


async def make_older(database: Database, *runs: str) -> None:
    """As if they had ended two minutes earlier."""
    statement = text(
        f"UPDATE {of_engine(database, 'workflow_status')} "  # noqa: S608
        "SET completed_at = completed_at - 120000 WHERE workflow_uuid = :run"
    )
    async with database.writing() as session:
        for run in runs:
            await session.execute(statement, {"run": run})


def of_engine(database: Database, table: str) -> str:
    """The table of the engine's by its full name."""
    return table if database.engine.dialect.name == "sqlite" else f"dbos.{table}"


async def test_runs_that_ended_long_ago_are_forgotten(
    shop: Workshop, database: Database, database_url: str, workspace_id: UUID, tmp_path: Path
) -> None:
    """With all of their rows. One that has just ended stays, and one that is to begin in a week."""
    old, young, to_come = [await enqueue(shop, workspace_id, days=days) for days in (0, 0, 7)]
    settings = {
        "DATABASE_URL": database_url,
        "DATA_DIR": str(tmp_path / "data"),
        "ENGINE_RETENTION_DAYS": RETENTION_DAYS,
    }
    run_cli("keys", "generate", settings=settings, cwd=tmp_path)
    with api_process(settings, tmp_path, "--with-worker"):
        async with asyncio.timeout(WITHIN_SECONDS):
            while await runs_in(database, "workflow_status", "status = 'SUCCESS'") != {old, young}:
                await asyncio.sleep(0.1)
            before = {table: await runs_in(database, table) for table in TABLES}
            assert before["workflow_status"] == {old, young, to_come}
            assert before["operation_outputs"] == {old, young}
            await make_older(database, old, to_come)
            while old in await runs_in(database, "workflow_status"):
                await asyncio.sleep(0.1)
    for table in TABLES:
        assert await runs_in(database, table) == before[table] - {old}
