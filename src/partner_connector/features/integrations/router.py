"""`/v1/integrations`: connections to our own Meta business, and checks of all their partners."""

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
    wait_for_job,
)
from partner_connector.features.sync_jobs.schemas import SyncJobCreate, SyncJobView
from partner_connector.features.tokens import intake
from partner_connector.features.tokens import service as tokens
from partner_connector.features.tokens.answers import (
    COMPLETED_WHILE_WAITING,
    accepted_validation,
    completed_validation,
)
from partner_connector.features.tokens.repository import Submission
from partner_connector.features.tokens.schemas import TokenValidationView
from partner_connector.ids import IntegrationId, encode
from partner_connector.web.conditional import IfMatchDep, KnownTagsDep, with_etag
from partner_connector.web.dependencies import (
    OPTIONAL_BODY,
    ContextDep,
    IdempotentRequestDep,
    IntegrationsReader,
    IntegrationsWriter,
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
    """Return the integrations of the workspace with their health, oldest first."""
    rows, cursor = await IntegrationRepository(session, caller.workspace_id).page(page)
    return page.answer([integration_view(row) for row in rows], cursor)


@router.post("", operation_id="createIntegration", summary="Create an integration", status_code=201)
async def create_integration(
    body: IntegrationCreate,
    _caller: IntegrationsWriter,
    audit: RecorderDep,
    idempotent: IdempotentRequestDep,
    context: ContextDep,
    response: Response,
) -> IntegrationView:
    """Connect our own Meta business with the token of one of its system users. A worker validates
    the token right after the response; read the result in `health` of the integration. A workspace
    can have one integration for each Meta business: a second one is refused with
    `integration_exists`.
    """
    settings = context.settings
    async with idempotent.writing() as session:
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
        await _record(session, audit, "integration.created", integration, _details(body))
        own_token = Submission(integration.id, None, sealed, "integration")
        await tokens.submit(session, context.queue, audit, own_token)
        response.headers["Location"] = f"/v1/integrations/{encode('int', integration.id)}"
        return idempotent.store_response(with_etag(response, integration_view(integration)))


def _details(body: IntegrationCreate) -> dict[str, Any]:
    return body.model_dump(include={"name", "meta_business_id", "safeguard_percent", "schedule"})


@router.get("/{integration_id}", operation_id="getIntegration", summary="Get an integration")
async def get_integration(
    integration_id: IntegrationId,
    caller: IntegrationsReader,
    session: ReadSession,
    known: KnownTagsDep,
) -> IntegrationView:
    """Return one integration with its settings and its health."""
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
    preconditions: IfMatchDep,
    response: Response,
) -> IntegrationView:
    """Change the name, the safeguard or the schedule. Members that are left out keep their value.
    When a paused schedule is resumed, the next check for updates runs at the next regular time.
    """
    integrations = IntegrationRepository(session, audit.workspace_id)
    integration = await integrations.lock(integration_id)
    preconditions.require(integration_view(integration))
    if body.schedule is not None and body.schedule.model_dump() != integration.schedule:
        # The worker plans the next check again, and does not catch up on checks missed in a pause.
        integration.next_check_at = None
    changes = body.model_dump(exclude_none=True)
    for name, value in changes.items():
        setattr(integration, name, value)
    await session.flush()
    await _record(session, audit, "integration.updated", integration, changes)
    return with_etag(response, integration_view(integration))


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
    preconditions: IfMatchDep,
) -> Response:
    """Delete an integration with its partners, their users and the encrypted tokens from this
    service. Nothing changes in Meta: the tokens stay valid there until they are revoked in Meta.
    """
    integrations = IntegrationRepository(session, audit.workspace_id)
    integration = await integrations.lock_to_remove(integration_id)
    preconditions.require(integration_view(integration))
    details = {"name": integration.name, "meta_business_id": integration.meta_business_id}
    await integrations.remove(integration)
    await _record(session, audit, "integration.deleted", integration, details)
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
    idempotent: IdempotentRequestDep,
    preconditions: IfMatchDep,
    context: ContextDep,
    response: Response,
    wait: WaitSeconds,
) -> TokenValidationView:
    """Hand over a new token of our own Meta business. Use it when the current token will expire,
    was revoked or lacks a permission. The new token is validated first: the old token stays active
    until the new one has passed. A token cannot be read, so `If-Match` takes the `ETag` of the
    integration.
    """
    async with idempotent.writing() as session:
        sealed = intake.sealed(body, context.keyring, context.settings)
        integrations = IntegrationRepository(session, audit.workspace_id)
        integration = await integrations.lock(integration_id)
        preconditions.require(integration_view(integration))
        own_token = Submission(integration.id, None, sealed, "integration")
        submitted = await tokens.join_or_submit(
            session,
            context.queue,
            audit,
            own_token,
            forbid_overwriting=preconditions.forbid_overwriting,
        )
        idempotent.store_response(accepted_validation(response, submitted), held_for=wait)
    return await idempotent.replace_response(
        await completed_validation(context, response, submitted, wait)
    )


@router.post(
    "/{integration_id}/sync-jobs",
    operation_id="startIntegrationSyncJob",
    summary="Check for updates",
    status_code=202,
    tags=["Sync jobs"],
    responses=FINISHED_WHILE_WAITING,
    dependencies=[OPTIONAL_BODY],
)
async def start_integration_sync_job(
    integration_id: IntegrationId,
    caller: SyncsRunner,
    idempotent: IdempotentRequestDep,
    context: ContextDep,
    response: Response,
    wait: WaitSeconds,
    _body: SyncJobCreate | None = None,
) -> SyncJobView:
    """Start a check for updates: it lists the partners from Meta again and reads the users of each
    connected partner. Use it when you do not want to wait for the daily check. While such a check
    is unfinished, this operation returns the unfinished job and starts no other.
    """
    async with idempotent.writing() as session:
        integration = await IntegrationRepository(session, caller.workspace_id).get(integration_id)
        job = await sync_jobs.request_integration_sync(
            session, context.queue, integration, trigger="api"
        )
        idempotent.store_response(accepted_job(response, job), held_for=wait)
    return await idempotent.replace_response(await wait_for_job(context, response, job, wait))
