"""The steps of `sync_integration`: list the partners, apply, go on to each connected one."""

from datetime import timedelta
from typing import Any

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.clock import now
from partner_connector.db.locks import lock_integration
from partner_connector.db.models import Integration, TokenValidation
from partner_connector.db.models.token import WORKING
from partner_connector.features.integrations.health import mismatch_in, note_own_token, of_version
from partner_connector.features.tokens.health_changes import telling_health_changes
from partner_connector.graph import GraphReader, VersionWarning, version_warnings
from partner_connector.ids import encode
from partner_connector.worker.backoff import Pause
from partner_connector.worker.context import Workshop
from partner_connector.worker.sync import progress
from partner_connector.worker.sync.apply.change_feed import publish
from partner_connector.worker.sync.apply.partners import apply_partners, check_connected_partners
from partner_connector.worker.sync.read.partners import SIDES, read_side, stage_side
from partner_connector.worker.sync.step_runner import GO_ON, STOP, held_job
from partner_connector.worker.sync.target import Target
from partner_connector.worker.token_decryption import TokenMissing, note_token_works, reader_for

_SECONDS_FOR_A_PROOF = 2


async def read_partners(shop: Workshop, target: Target, attempt: int) -> str:
    """Agencies and clients into staging. A side that Meta refuses is unknown, not empty."""
    reader = await _host_reader(shop, target)
    for side in SIDES:
        found = await read_side(reader, side, target.host_business_id)
        async with held_job(shop, target, attempt) as (session, job):
            if found.warning is not None:
                code, detail = found.warning
                progress.warn(job, code, found.edge, detail)
            if found.rows is not None:
                await stage_side(session, job.id, side, found.rows)
    await _close_reading(shop, target, attempt, reader)
    return GO_ON


async def apply(shop: Workshop, target: Target, attempt: int) -> str:
    """Partners and their checks, in one transaction."""
    async with shop.database.writing() as session:
        job = await progress.running_job(session, target.job_id, attempt)
        if job is None or job.own_work_done:
            # Applied already, and cut off before the engine had noted that.
            return STOP
        await progress.lock_children_to_be(session, job)
        edges_not_read = {warning["edge"] for warning in job.warnings}
        unknown_sides = {side for side, edge in SIDES.items() if edge.__name__ in edges_not_read}
        audit = shop.recorder(job.workspace_id, encode("job", job.id))
        own_token = target.host_token.id if target.host_token is not None else None
        async with telling_health_changes(session, audit, own_token):
            await apply_partners(session, job, unknown_sides=unknown_sides)
            await progress.move_on(session, job, "applying")
            if await note_token_works(session, target.host_token):
                integration = await session.get_one(Integration, target.integration_id)
                note_own_token(integration, "healthy", [])
            await check_connected_partners(session, shop.queue, job)
            await publish(session, job, now())
    return GO_ON


async def _host_reader(shop: Workshop, target: Target) -> GraphReader:
    if target.host_token is not None:
        return reader_for(shop, target.host_token)
    being_proven = exists().where(
        TokenValidation.integration_id == target.integration_id,
        TokenValidation.partner_id.is_(None),
        TokenValidation.status != "completed",
    )
    async with shop.database.reading() as session:
        if await session.scalar(select(being_proven)):
            in_a_moment = now() + timedelta(seconds=_SECONDS_FOR_A_PROOF)
            raise TokenMissing(Pause("retrying", in_a_moment))
    raise TokenMissing


async def _close_reading(shop: Workshop, target: Target, attempt: int, reader: GraphReader) -> None:
    """Calls are counted and the version compared while the reader is here: the step that applies
    may run in another process.
    """
    async with held_job(shop, target, attempt) as (session, job):
        await progress.move_on(session, job, "listing_partners")
        job.graph_calls += reader.meter.counted_calls
        await _note_version(session, target, reader.meter.served_version, shop)


async def _note_version(
    session: AsyncSession, target: Target, served: str | None, shop: Workshop
) -> None:
    """Warnings about the version of the API come and go with each check; other reasons stay.

    Being answered with another version than was asked for needs attention. One that will be gone
    within 90 days is told beforehand, and the integration is as healthy as it was.
    """
    found = version_warnings(shop.graph.version, served, now().date())
    integration = await session.get_one(Integration, target.integration_id)
    if _told(integration.health_reasons, found) == integration.health_reasons:
        return
    # Only where there is something to write: a proof that ends now writes its own reasons.
    await lock_integration(session, integration.id)
    before, reasons = integration.health_reasons, _told(integration.health_reasons, found)
    integration.health_reasons = reasons
    if mismatch_in(reasons):
        integration.health = "attention_required"
    elif mismatch_in(before) and target.host_token and target.host_token.health in WORKING:
        integration.health = "healthy"


def _told(reasons: list[Any], found: list[VersionWarning]) -> list[Any]:
    """The reasons with these warnings in place of earlier ones about the version."""
    others = [reason for reason in reasons if reason not in of_version(reasons)]
    return others + [{"code": w.code, "detail": w.detail, "remedy": w.remedy} for w in found]
