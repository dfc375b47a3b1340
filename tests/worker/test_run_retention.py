"""Retention of DBOS's workflow runs: old ended runs are deleted, and no others."""

import asyncio
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from sqlalchemy import text

from partner_connector.clock import now
from partner_connector.db.engine import Database
from partner_connector.durable import tasks
from partner_connector.worker.context import WorkerContext
from tests.api import rows
from tests.support.processes import api_process, run_cli

WITHIN_SECONDS = 20
# A minute and a half. With this value old runs are deleted every few seconds.
RETENTION_DAYS = "0.001"
# The engine's tables with rows of a run.
TABLES = ("workflow_status", "workflow_input", "workflow_output", "operation_outputs")


async def enqueue(context: WorkerContext, workspace_id: UUID, *, days: int) -> str:
    """Enqueue a sync job of a partner without a token, to begin in `days` days.

    Return the id of its run.
    """
    integration = rows.integration(workspace_id)
    partner = rows.partner(integration)
    job = rows.sync_job(partner, status="queued")
    await rows.store(context.database, integration, partner, job)
    to_do = tasks.sync(job.task, job.id, partner.id, not_before=now() + timedelta(days=days))
    async with context.database.writing() as session:
        await context.queue.enqueue(session, to_do)
    return to_do.run_id


async def runs_in(database: Database, table: str, condition: str = "true") -> set[str]:
    """Return the ids of the runs with rows in the table."""
    query = text(f"SELECT workflow_uuid FROM {engine_table(database, table)} WHERE {condition}")  # noqa: S608
    async with database.reading() as session:
        return set(await session.scalars(query))


async def make_older(database: Database, *runs: str) -> None:
    """Move the end of the runs to two minutes earlier."""
    statement = text(
        f"UPDATE {engine_table(database, 'workflow_status')} "  # noqa: S608
        "SET completed_at = completed_at - 120000 WHERE workflow_uuid = :run"
    )
    async with database.writing() as session:
        for run in runs:
            await session.execute(statement, {"run": run})


def engine_table(database: Database, table: str) -> str:
    """Return the full name of the engine's table."""
    return table if database.engine.dialect.name == "sqlite" else f"dbos.{table}"


async def test_old_ended_run_is_deleted_with_all_its_rows(
    context: WorkerContext,
    database: Database,
    database_url: str,
    workspace_id: UUID,
    tmp_path: Path,
) -> None:
    """Keep a run that has just ended, and a run that begins in a week."""
    old, recent, scheduled = [await enqueue(context, workspace_id, days=days) for days in (0, 0, 7)]
    settings = {
        "DATABASE_URL": database_url,
        "DATA_DIR": str(tmp_path / "data"),
        "ENGINE_RETENTION_DAYS": RETENTION_DAYS,
    }
    run_cli("keys", "generate", settings=settings, cwd=tmp_path)
    with api_process(settings, tmp_path, "--with-worker"):
        async with asyncio.timeout(WITHIN_SECONDS):
            while await runs_in(database, "workflow_status", "status = 'SUCCESS'") != {old, recent}:
                await asyncio.sleep(0.1)
            before = {table: await runs_in(database, table) for table in TABLES}
            assert before["workflow_status"] == {old, recent, scheduled}
            assert before["operation_outputs"] == {old, recent}
            await make_older(database, old, scheduled)
            while old in await runs_in(database, "workflow_status"):
                await asyncio.sleep(0.1)
    for table in TABLES:
        assert await runs_in(database, table) == before[table] - {old}
