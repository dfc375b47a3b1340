"""`/v1/integrations`: our own Meta business, and the check for updates of all its partners."""

from typing import Any

from fastapi import APIRouter, Response

from partner_connector.db.models import Integration
from partner_connector.features.audit.dependency import RecorderDep
from partner_connector.features.audit.service import Recorder
from partner_connector.features.integrations.repository import IntegrationRepository
from partner_connector.features.integrations.schemas import (
    IntegrationCreate,
    IntegrationPage,
    IntegrationTokenReplace,
    IntegrationUpdate,
    IntegrationView,
    integration_view,
)
from partner_connector.features.sync_jobs import service as sync_jobs
from partner_connector.features.sync_jobs.router import (
    FINISHED_WHILE_WAITING,
    accepted_job,
    finished_job,
)
from partner_connector.features.sync_jobs.schemas import SyncJobCreate, SyncJobView
from partner_connector.features.tokens import intake
from partner_connector.features.tokens import service as tokens
from partner_connector.features.tokens.answers import (
    COMPLETED_WHILE_WAITING,
    accepted_proof,
    completed_proof,
)
from partner_connector.features.tokens.repository import Submission
from partner_connector.features.tokens.schemas import TokenValidationView
from partner_connector.ids import IntegrationId, encode
from partner_connector.web.conditional import IfMatchDep, KnownTagsDep, tell
from partner_connector.web.dependencies import (
    MAY_BE_LEFT_OUT,
    ContextDep,
    IntegrationsReader,
    IntegrationsWriter,
    OnceDep,
    PageDep,
    ReadSession,
    SyncsRunner,
    WaitSeconds,
    WriteSession,
)

router = APIRouter(prefix="/v1/integrations", tags=["Integrations"])


@router.get(
    "",
    operation_id="listIntegrations",
    summary="List integrations",
    response_model=IntegrationPage,
)
async def list_integrations(
    caller: IntegrationsReader, session: ReadSession, page: PageDep
) -> Response:
    """Oldest first."""
    rows, cursor = await IntegrationRepository(session, caller.workspace_id).page(page)
    return page.answer([integration_view(row) for row in rows], cursor)


@router.post("", operation_id="createIntegration", summary="Create an integration", status_code=201)
async def create_integration(
    body: IntegrationCreate,
    _caller: IntegrationsWriter,
    audit: RecorderDep,
    once: OnceDep,
    context: ContextDep,
    response: Response,
) -> IntegrationView:
    """The token is proven by the worker right after; `health` tells what it found."""
    settings = context.settings
    async with once.writing() as session:
        sealed = intake.sealed(body, context.keyring, settings)
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
        await _record(session, audit, "integration.created", integration, _told(body))
        own_token = Submission(integration.id, None, sealed, "integration")
        await tokens.submit(session, context.queue, audit, own_token)
        response.headers["Location"] = f"/v1/integrations/{encode('int', integration.id)}"
        return once.remember(tell(response, integration_view(integration)))


def _told(body: IntegrationCreate) -> dict[str, Any]:
    return body.model_dump(include={"name", "meta_business_id", "safeguard_percent", "schedule"})


@router.get("/{integration_id}", operation_id="getIntegration", summary="Get an integration")
async def get_integration(
    integration_id: IntegrationId,
    caller: IntegrationsReader,
    session: ReadSession,
    known: KnownTagsDep,
) -> IntegrationView:
    """One integration and its health."""
    integration = await IntegrationRepository(session, caller.workspace_id).get(integration_id)
    return known.answer(integration_view(integration))


@router.patch(
    "/{integration_id}", operation_id="updateIntegration", summary="Update an integration"
)
async def update_integration(
    integration_id: IntegrationId,
    body: IntegrationUpdate,
    _caller: IntegrationsWriter,
    audit: RecorderDep,
    session: WriteSession,
    only: IfMatchDep,
    response: Response,
) -> IntegrationView:
    """Name, safeguard and schedule. After a pause checks go on at the next regular time."""
    integrations = IntegrationRepository(session, audit.workspace_id)
    integration = await integrations.lock(integration_id)
    only.require(integration_view(integration))
    if body.schedule is not None and body.schedule.model_dump() != integration.schedule:
        # The worker plans it anew, and does not make up for what was missed in a pause.
        integration.next_check_at = None
    changes = body.model_dump(exclude_none=True)
    for name, value in changes.items():
        setattr(integration, name, value)
    await session.flush()
    await _record(session, audit, "integration.updated", integration, changes)
    return tell(response, integration_view(integration))


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
    only: IfMatchDep,
) -> Response:
    """Removes its partners, users and sealed tokens from here. Changes nothing in Meta."""
    integrations = IntegrationRepository(session, audit.workspace_id)
    integration = await integrations.lock_to_remove(integration_id)
    only.require(integration_view(integration))
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
    once: OnceDep,
    only: IfMatchDep,
    context: ContextDep,
    response: Response,
    wait: WaitSeconds,
) -> TokenValidationView:
    """The new token is proven first; the old one stays active until then. Of the token itself
    nothing can be read: `If-Match` takes the integration's tag.
    """
    async with once.writing() as session:
        sealed = intake.sealed(body, context.keyring, context.settings)
        integrations = IntegrationRepository(session, audit.workspace_id)
        integration = await integrations.lock(integration_id)
        only.require(integration_view(integration))
        own_token = Submission(integration.id, None, sealed, "integration")
        submitted = await tokens.join_or_submit(
            session, context.queue, audit, own_token, forbid_overwriting=only.forbid_overwriting
        )
        once.remember(accepted_proof(response, submitted), held_for=wait)
    return await once.conclude(await completed_proof(context, response, submitted, wait))


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
    once: OnceDep,
    context: ContextDep,
    response: Response,
    wait: WaitSeconds,
    _body: SyncJobCreate | None = None,
) -> SyncJobView:
    """Lists the partners from Meta and checks each connected one. While such a check is
    unfinished, asking again answers that one.
    """
    async with once.writing() as session:
        integration = await IntegrationRepository(session, caller.workspace_id).get(integration_id)
        job = await sync_jobs.request_integration_sync(
            session, context.queue, integration, trigger="api"
        )
        once.remember(accepted_job(response, job), held_for=wait)
    return await once.conclude(await finished_job(context, response, job, wait))
