"""`/v1/integrations`: our own Meta business, and the check for updates of all its partners."""

from typing import Any

from fastapi import APIRouter, Response

from partner_connector.audit.dependency import RecorderDep
from partner_connector.audit.service import Recorder
from partner_connector.dependencies import (
    MAY_BE_LEFT_OUT,
    ContextDep,
    IntegrationsReader,
    IntegrationsWriter,
    PageDep,
    ReadSession,
    SyncsRunner,
    WaitSeconds,
    WriteSession,
)
from partner_connector.ids import IntegrationId, encode
from partner_connector.integrations.repository import IntegrationRepository
from partner_connector.integrations.schemas import (
    IntegrationCreate,
    IntegrationPage,
    IntegrationTokenReplace,
    IntegrationUpdate,
    IntegrationView,
    integration_view,
)
from partner_connector.models import Integration
from partner_connector.sync_jobs import service as sync_jobs
from partner_connector.sync_jobs.router import FINISHED_WHILE_WAITING, answer_with_job
from partner_connector.sync_jobs.schemas import SyncJobCreate, SyncJobView
from partner_connector.tokens import intake
from partner_connector.tokens import service as tokens
from partner_connector.tokens.router import COMPLETED_WHILE_WAITING, answer_with_validation
from partner_connector.tokens.schemas import TokenValidationView

router = APIRouter(prefix="/v1/integrations", tags=["Integrations"])


@router.get("", operation_id="listIntegrations", summary="List integrations")
async def list_integrations(
    caller: IntegrationsReader, session: ReadSession, page: PageDep
) -> IntegrationPage:
    """Oldest first."""
    rows, cursor = await IntegrationRepository(session, caller.workspace_id).page(page)
    items = [integration_view(row) for row in rows]
    return IntegrationPage(items=items, next_cursor=cursor)


@router.post("", operation_id="createIntegration", summary="Create an integration", status_code=201)
async def create_integration(
    body: IntegrationCreate,
    _caller: IntegrationsWriter,
    audit: RecorderDep,
    session: WriteSession,
    context: ContextDep,
    response: Response,
) -> IntegrationView:
    """The token is proven by the worker right after; `health` tells what it found."""
    settings = context.settings
    sealed = intake.sealed(body, context.keyring, require_sealed=settings.require_sealed_tokens)
    integration = Integration(
        workspace_id=audit.workspace_id,
        name=body.name,
        meta_business_id=body.meta_business_id,
        app_id=settings.meta_app_id,
        safeguard_percent=body.safeguard_percent,
        schedule=body.schedule.model_dump(),
        graph_version=settings.graph_version,
    )
    await IntegrationRepository(session, audit.workspace_id).add(integration)
    told = body.model_dump(include={"name", "meta_business_id", "safeguard_percent", "schedule"})
    await _record(session, audit, "integration.created", integration, told)
    await tokens.submit(
        session,
        context.queue,
        audit,
        integration_id=integration.id,
        partner_id=None,
        sealed=sealed,
        purpose="integration",
    )
    response.headers["Location"] = f"/v1/integrations/{encode('int', integration.id)}"
    return integration_view(integration)


@router.get("/{integration_id}", operation_id="getIntegration", summary="Get an integration")
async def get_integration(
    integration_id: IntegrationId, caller: IntegrationsReader, session: ReadSession
) -> IntegrationView:
    """One integration and its health."""
    integration = await IntegrationRepository(session, caller.workspace_id).get(integration_id)
    return integration_view(integration)


@router.patch(
    "/{integration_id}", operation_id="updateIntegration", summary="Update an integration"
)
async def update_integration(
    integration_id: IntegrationId,
    body: IntegrationUpdate,
    _caller: IntegrationsWriter,
    audit: RecorderDep,
    session: WriteSession,
) -> IntegrationView:
    """Name, safeguard and schedule. After a pause checks go on at the next regular time."""
    integrations = IntegrationRepository(session, audit.workspace_id)
    integration = await integrations.get(integration_id, lock=True)
    if body.schedule is not None and body.schedule.model_dump() != integration.schedule:
        # The worker plans it anew, and does not make up for what was missed in a pause.
        integration.next_check_at = None
    changes = body.model_dump(exclude_none=True)
    for name, value in changes.items():
        setattr(integration, name, value)
    await session.flush()
    await _record(session, audit, "integration.updated", integration, changes)
    return integration_view(integration)


@router.delete(
    "/{integration_id}",
    operation_id="deleteIntegration",
    summary="Delete an integration",
    status_code=204,
)
async def delete_integration(
    integration_id: IntegrationId,
    _caller: IntegrationsWriter,
    audit: RecorderDep,
    session: WriteSession,
) -> Response:
    """Removes its partners, users and sealed tokens from here. Changes nothing in Meta."""
    integrations = IntegrationRepository(session, audit.workspace_id)
    integration = await integrations.get(integration_id, lock=True)
    told = {"name": integration.name, "meta_business_id": integration.meta_business_id}
    await integrations.remove(integration)
    await _record(session, audit, "integration.deleted", integration, told)
    return Response(status_code=204)


async def _record(
    session: WriteSession,
    audit: Recorder,
    action: str,
    integration: Integration,
    details: dict[str, Any],
) -> None:
    subject = encode("int", integration.id)
    await audit.record(session, action=action, subject=subject, details=details)


@router.put(
    "/{integration_id}/token",
    operation_id="replaceIntegrationToken",
    summary="Replace the token of our own business",
    status_code=202,
    responses=COMPLETED_WHILE_WAITING,
)
async def replace_integration_token(
    integration_id: IntegrationId,
    body: IntegrationTokenReplace,
    _caller: IntegrationsWriter,
    audit: RecorderDep,
    context: ContextDep,
    response: Response,
    wait: WaitSeconds,
) -> TokenValidationView:
    """The new token is proven first; the old one stays active until then."""
    settings = context.settings
    sealed = intake.sealed(body, context.keyring, require_sealed=settings.require_sealed_tokens)
    async with context.database.writing() as session:
        integrations = IntegrationRepository(session, audit.workspace_id)
        integration = await integrations.get(integration_id, lock=True)
        submitted = await tokens.submit(
            session,
            context.queue,
            audit,
            integration_id=integration.id,
            partner_id=None,
            sealed=sealed,
            purpose="integration",
        )
    return await answer_with_validation(context, response, submitted, wait)


@router.post(
    "/{integration_id}/sync-jobs",
    operation_id="startIntegrationSyncJob",
    summary="Check for updates",
    status_code=202,
    tags=["Sync jobs"],
    responses=FINISHED_WHILE_WAITING,
    dependencies=[MAY_BE_LEFT_OUT],
)
async def start_integration_sync_job(
    integration_id: IntegrationId,
    caller: SyncsRunner,
    context: ContextDep,
    response: Response,
    wait: WaitSeconds,
    _body: SyncJobCreate | None = None,
) -> SyncJobView:
    """Lists the partners from Meta and checks each connected one. While such a check is
    unfinished, asking again answers that one.
    """
    async with context.database.writing() as session:
        integration = await IntegrationRepository(session, caller.workspace_id).get(integration_id)
        job = await sync_jobs.request_integration_sync(
            session, context.queue, integration, trigger="api"
        )
    return await answer_with_job(context, response, job, wait)
