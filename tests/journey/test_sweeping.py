"""The cleanup that a worker does when it starts."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest
from sqlalchemy import func, select

from partner_connector.clock import now
from partner_connector.db.engine import Database
from partner_connector.db.models import StagedPartner, SyncJob
from tests.api import rows
from tests.api.engine_rows import enqueued
from tests.support.clients import Tenant
from tests.support.processes import api_process, run_cli

pytestmark = pytest.mark.by_day("sqlite")

LONG_AGO = now() - timedelta(days=1)
WITHIN_SECONDS = 30


async def test_abandoned_plans_are_applied_or_cleaned_up(
    database: Database, database_url: str, tenant: Tenant, tmp_path: Path
) -> None:
    """Recover one approved plan whose run got lost, and clean up one that expired.

    The approved plan is applied. The expired plan's job is cancelled, and its staged rows are
    deleted. The parent job does not run again.
    """
    integration = rows.integration(cast("UUID", tenant.workspace_id))
    one, another = rows.partner(integration), rows.partner(integration)
    parent = rows.sync_job(
        one, partner_id=None, status="running", own_work_done=True, updated_at=LONG_AGO
    )
    child: dict[str, Any] = {"parent_id": parent.id, "attempt": 2, "updated_at": LONG_AGO}
    lost = rows.sync_job(one, **child, status="running", approved_plan="0" * 64)
    expired = rows.sync_job(another, **child, status="halted", plan_expires_at=LONG_AGO)
    staged = StagedPartner(job_id=expired.id, meta_business_id="1", side="agencies", name="They")
    await rows.store(database, integration, one, another, parent, lost, expired, staged)
    settings = {"DATABASE_URL": database_url, "DATA_DIR": str(tmp_path / "data")}
    run_cli("keys", "generate", settings=settings, cwd=tmp_path)

    with api_process(settings, tmp_path, "--with-worker"):
        async with asyncio.timeout(WITHIN_SECONDS):
            while await count_staged(database) or not await enqueued(database):
                await asyncio.sleep(0.2)
        async with database.reading() as session:
            revived, cancelled, over_both = [
                await session.get_one(SyncJob, job.id) for job in (lost, expired, parent)
            ]
    assert (revived.attempt, revived.approved_plan) == (3, "0" * 64)
    assert await enqueued(database) == [f"sync_partner:{lost.id}:3"]
    assert cancelled.status == "cancelled"
    assert cancelled.finished_at is not None
    assert (over_both.status, over_both.attempt) == (revived.status, 1)


async def count_staged(database: Database) -> int:
    """Count the staged rows of partners."""
    async with database.reading() as session:
        return await session.scalar(select(func.count()).select_from(StagedPartner)) or 0
