"""A run that the engine has given to a process, and that nothing there works on."""

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
from partner_connector.durable.dropped_runs import LOOK_SECONDS
from partner_connector.durable.engine import WorkQueue
from partner_connector.settings import without_environment
from tests.support.databases import SqliteTemplate
from tests.support.processes import api_process, run_cli, wait_for_log

# Two looks, and the time to enqueue it and to run it.
WITHIN_SECONDS = 2 * LOOK_SECONDS + 10
TOMORROW = now() + timedelta(days=1)


async def test_a_dropped_run_is_taken_up_again(sqlite: SqliteTemplate, tmp_path: Path) -> None:
    """By its record it goes on here; when nobody works on it, it is begun anew."""
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
        wait_for_log(api, "runs_were_dropped")
    queue.close()
    await database.close()
    # It was run: there is no token to read with.
    assert (job.status, job.error and job.error["code"]) == ("failed", "token_missing")
    assert job.attempt == 1


async def check_of_an_integration(session: AsyncSession) -> SyncJob:
    """A job for which there is nothing to read with."""
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
