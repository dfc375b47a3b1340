"""Steps of `sync_integration`: list the partners, apply the lists, start the partners' jobs."""

from datetime import timedelta
from typing import Any

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.clock import now
from partner_connector.db.locks import lock_integration
from partner_connector.db.models import Integration, TokenValidation
from partner_connector.db.models.token import WORKING
from partner_connector.features.integrations.health import (
    has_version_mismatch,
    record_own_token_health,
    version_reasons,
)
from partner_connector.features.tokens.health_changes import record_health_changes
from partner_connector.graph import GraphReader, VersionWarning, version_warnings
from partner_connector.ids import encode
from partner_connector.worker.backoff import Pause
from partner_connector.worker.context import WorkerContext
from partner_connector.worker.sync import progress
from partner_connector.worker.sync.apply.change_feed import publish
from partner_connector.worker.sync.apply.partners import apply_partners, start_partner_jobs
from partner_connector.worker.sync.read.partners import SIDES, read_side, stage_side
from partner_connector.worker.sync.step_runner import GO_ON, STOP, lock_running_job
from partner_connector.worker.sync.target import Target
from partner_connector.worker.token_decryption import TokenMissing, reader_for, restore_token_health

_VALIDATION_PAUSE_SECONDS = 2


async def read_partners(context: WorkerContext, target: Target, attempt: int) -> str:
    """Read agencies and clients into staging. A refused side is unknown, not empty."""
    reader = await _own_reader(context, target)
    for side in SIDES:
        found = await read_side(reader, side, target.own_business_id)
        async with lock_running_job(context, target, attempt) as (session, job):
            if found.warning is not None:
                code, detail = found.warning
                progress.warn(job, code, found.edge, detail)
            if found.rows is not None:
                await stage_side(session, job.id, side, found.rows)
    await _store_read_results(context, target, attempt, reader)
    return GO_ON


async def apply(context: WorkerContext, target: Target, attempt: int) -> str:
    """Apply partners and start their sync jobs, in one transaction."""
    async with context.database.writing() as session:
        job = await progress.running_job(session, target.job_id, attempt)
        if job is None or job.own_work_done:
            # Already applied: a crash followed before DBOS recorded the step.
            return STOP
        await progress.lock_partner_sync_jobs(session, job)
        edges_not_read = {warning["edge"] for warning in job.warnings}
        unknown_sides = {side for side, edge in SIDES.items() if edge.__name__ in edges_not_read}
        audit = context.recorder(job.workspace_id, encode("job", job.id))
        own_token = target.own_token.id if target.own_token is not None else None
        async with record_health_changes(session, audit, own_token):
            await apply_partners(session, job, unknown_sides=unknown_sides)
            await progress.set_progress(session, job, "applying")
            if await restore_token_health(session, target.own_token):
                integration = await session.get_one(Integration, target.integration_id)
                record_own_token_health(integration, "healthy", [])
            await start_partner_jobs(session, context.queue, job)
            await publish(session, job, now())
    return GO_ON


async def _own_reader(context: WorkerContext, target: Target) -> GraphReader:
    if target.own_token is not None:
        return reader_for(context, target.own_token)
    being_validated = exists().where(
        TokenValidation.integration_id == target.integration_id,
        TokenValidation.partner_id.is_(None),
        TokenValidation.status != "completed",
    )
    async with context.database.reading() as session:
        if await session.scalar(select(being_validated)):
            resume_at = now() + timedelta(seconds=_VALIDATION_PAUSE_SECONDS)
            raise TokenMissing(Pause("retrying", resume_at))
    raise TokenMissing


async def _store_read_results(
    context: WorkerContext, target: Target, attempt: int, reader: GraphReader
) -> None:
    """Store the call count and the API version, which the reader holds.

    The step that applies may run in another process, which has no such reader.
    """
    async with lock_running_job(context, target, attempt) as (session, job):
        await progress.set_progress(session, job, "listing_partners")
        job.graph_calls += reader.meter.counted_calls
        await _update_version_reasons(session, target, reader.meter.served_version, context)


async def _update_version_reasons(
    session: AsyncSession, target: Target, served: str | None, context: WorkerContext
) -> None:
    """Replace the health reasons about the API version; other reasons stay.

    If Meta answered with another version than requested, the integration needs attention. A version
    that ends within 90 days adds a reason and does not change the health.
    """
    found = version_warnings(context.graph.version, served, now().date())
    integration = await session.get_one(Integration, target.integration_id)
    if _with_version_reasons(integration.health_reasons, found) == integration.health_reasons:
        return
    # Lock only for a change: a token validation that ends now writes its own reasons.
    await lock_integration(session, integration.id)
    before, reasons = (
        integration.health_reasons,
        _with_version_reasons(integration.health_reasons, found),
    )
    integration.health_reasons = reasons
    if has_version_mismatch(reasons):
        integration.health = "attention_required"
    elif has_version_mismatch(before) and target.own_token and target.own_token.health in WORKING:
        integration.health = "healthy"


def _with_version_reasons(reasons: list[Any], found: list[VersionWarning]) -> list[Any]:
    """Return the reasons with earlier version warnings replaced by `found`."""
    others = [reason for reason in reasons if reason not in version_reasons(reasons)]
    return others + [{"code": w.code, "detail": w.detail, "remedy": w.remedy} for w in found]
