"""Run that the engine assigned to a process in which no task runs it."""

import asyncio
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.clock import now
from partner_connector.db.engine import open_database
from partner_connector.db.models import Integration, SyncJob, Workspace
from partner_connector.durable import tasks
from partner_connector.durable.dropped_runs import POLL_SECONDS
from partner_connector.durable.engine import WorkQueue
from partner_connector.settings import without_environment
from tests.support.databases import SqliteTemplate
from tests.support.processes import api_process, run_cli, wait_for_log

# Two searches for lost runs, and the time to enqueue the run and to run it.
WITHIN_SECONDS = 2 * POLL_SECONDS + 10
TOMORROW = now() + timedelta(days=1)


async def test_dropped_run_is_recovered(sqlite: SqliteTemplate, tmp_path: Path) -> None:
    """Assert that a run which is `PENDING` without a task here is started again."""
    url = sqlite.clone(tmp_path)
    settings = {"DATABASE_URL": url, "DATA_DIR": str(tmp_path / "data")}
    ours = without_environment(database_url=SecretStr(url))
    database, queue = open_database(ours), WorkQueue(ours)
    async with database.writing() as session:
        job = await check_of_an_integration(session)
        target = job.integration_id
        await queue.enqueue(session, tasks.sync(job.task, job.id, target, not_before=TOMORROW))
    assert run_cli("keys", "generate", settings=settings, cwd=tmp_path).returncode == 0
    with api_process(settings, tmp_path, "--with-worker") as api:
        async with database.writing() as session:
            await session.execute(
                sa.text("UPDATE workflow_status SET status = 'PENDING', executor_id = 'embedded'")
            )
        deadline = now() + timedelta(seconds=WITHIN_SECONDS)
        while job.finished_at is None:
            assert now() < deadline, api.log
            await asyncio.sleep(0.2)
            async with database.reading() as session:
                job = await session.get_one(SyncJob, job.id)
        wait_for_log(api, "dropped_runs_requeued")
    queue.close()
    await database.close()
    # The job ran, and failed because there is no token to read with.
    assert (job.status, job.error and job.error["code"]) == ("failed", "token_missing")
    assert job.attempt == 1


async def check_of_an_integration(session: AsyncSession) -> SyncJob:
    """Create a job for an integration without a token."""
    workspace = Workspace(name="Test")
    session.add(workspace)
    await session.flush()
    integration = Integration(
        workspace_id=workspace.id,
        name="Ours",
        meta_business_id="1",
        app_id="1",
        schedule={},
        graph_version="v26.0",
    )
    session.add(integration)
    await session.flush()
    job = SyncJob(
        workspace_id=workspace.id,
        integration_id=integration.id,
        task=tasks.SYNC_INTEGRATION,
        trigger="api",
    )
    session.add(job)
    await session.flush()
    return job
