"""Lost runs, which are found and ended."""

import time
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from partner_connector.clock import now
from partner_connector.db.engine import Database
from partner_connector.db.models import (
    Integration,
    Partner,
    SyncJob,
    Token,
    TokenValidation,
    Workspace,
)
from tests.support.processes import api_process, run_cli

pytestmark = pytest.mark.by_day("sqlite")

LONG_AGO = now() - timedelta(days=1)
WITHIN_SECONDS = 40


async def lose_work(database: Database) -> tuple[UUID, UUID]:
    """Create a job and a validation that are `running` without a run in the engine."""
    async with database.writing() as session:
        workspace = Workspace(name="Test")
        session.add(workspace)
        await session.flush()
        ours = Integration(
            workspace_id=workspace.id,
            name="Ours",
            meta_business_id="1",
            app_id="1",
            schedule={},
            graph_version="v26.0",
        )
        session.add(ours)
        await session.flush()
        owned = {"workspace_id": workspace.id, "integration_id": ours.id}
        partner = Partner(**owned, meta_business_id="2", name="Theirs", relationship="agency")
        session.add(partner)
        await session.flush()
        job = SyncJob(
            **owned,
            partner_id=partner.id,
            task="sync_partner",
            trigger="api",
            status="running",
            updated_at=LONG_AGO,
        )
        token = Token(**owned, partner_id=partner.id, version=1, key_id="sk_" + "0" * 16)
        session.add_all([job, token])
        await session.flush()
        validation = TokenValidation(
            **owned,
            partner_id=partner.id,
            token_id=token.id,
            purpose="connect",
            status="running",
            created_at=LONG_AGO,
        )
        session.add(validation)
        await session.flush()
        return job.id, validation.id


async def test_lost_runs_are_found_and_ended(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    """Assert that the job and the validation end without any request."""
    job_id, validation_id = await lose_work(database)
    settings = {"DATABASE_URL": database_url, "DATA_DIR": str(tmp_path / "data")}
    run_cli("keys", "generate", settings=settings, cwd=tmp_path)
    with api_process(settings, tmp_path, "--with-worker"):
        deadline = time.monotonic() + WITHIN_SECONDS
        while True:
            async with database.reading() as session:
                job = await session.get_one(SyncJob, job_id)
                validation = await session.get_one(TokenValidation, validation_id)
            ended = job.finished_at is not None and validation.status == "completed"
            if ended or time.monotonic() > deadline:
                break
            time.sleep(0.2)  # noqa: ASYNC251 - nothing else runs in this test's loop
    assert (job.status, job.attempt, job.error and job.error["code"]) == (
        "failed",
        2,
        "token_missing",
    )
    assert (validation.status, validation.verdict, validation.attempt) == (
        "completed",
        "not_connectable",
        2,
    )
